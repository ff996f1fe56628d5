"""Tests of `relay.routes`."""
