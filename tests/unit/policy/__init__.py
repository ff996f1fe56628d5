"""Tests of `relay.policy`: pure rules, time and chance given."""
