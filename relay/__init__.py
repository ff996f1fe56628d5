"""relay: one address between programs that use language models and their providers."""
