"""Tests of `relay.dialects.openai`."""
