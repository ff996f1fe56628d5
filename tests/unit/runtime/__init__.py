"""Tests of `relay.runtime`."""
