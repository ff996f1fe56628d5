"""Unit tests of relay.web."""
