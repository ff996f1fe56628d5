"""Unit tests of the upstream side."""
