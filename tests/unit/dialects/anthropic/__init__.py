"""Tests of `relay.dialects.anthropic`."""
