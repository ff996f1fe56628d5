"""The dialect ``ollama``: chat, generate and embed of Ollama's own API."""
