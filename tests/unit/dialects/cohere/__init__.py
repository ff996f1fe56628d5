"""Tests of `relay.dialects.cohere`."""
