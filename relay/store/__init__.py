"""What relay remembers between exchanges: keys and limits."""
