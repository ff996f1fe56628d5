"""Tests of `relay.schema`."""
