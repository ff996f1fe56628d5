"""Tests of `relay.dialects.ollama`."""
