"""Tests of `relay.store`."""
