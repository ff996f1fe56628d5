"""The wire languages of clients and providers: pure functions from bytes to values and back."""
