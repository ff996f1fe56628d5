"""Tests of `relay.loader`."""
