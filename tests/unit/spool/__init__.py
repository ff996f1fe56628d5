"""Unit tests of relay.spool."""
