"""Tests of `relay.dialects.responses`."""
