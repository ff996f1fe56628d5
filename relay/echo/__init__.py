"""The embedded echo upstream: a provider that needs no key and no network."""
