"""Tests of the engine's upstream side, without sockets."""
