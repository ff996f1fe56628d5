"""relay's own HTTP/1.1 channel: strict, bounded, and as cheap as can be under the same resources."""
