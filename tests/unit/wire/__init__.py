"""Unit tests of relay.wire."""
