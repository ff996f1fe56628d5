"""Uploads too large for memory: written to a temporary file and read back, off the reactor thread."""
