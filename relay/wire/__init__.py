"""Bytes to frames and back: sans-IO parsers that know framing and no meaning."""
