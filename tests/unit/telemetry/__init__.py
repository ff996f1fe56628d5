"""Tests of `relay.telemetry`."""
