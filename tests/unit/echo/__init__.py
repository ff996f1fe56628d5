"""Tests of the embedded echo upstream."""
