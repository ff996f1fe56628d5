"""The dialect ``anthropic``: Messages and count_tokens."""
