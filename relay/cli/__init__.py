"""The ``relay`` command: what an operator does beside running the daemon."""
