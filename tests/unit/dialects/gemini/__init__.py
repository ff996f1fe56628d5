"""Tests of `relay.dialects.gemini`."""
