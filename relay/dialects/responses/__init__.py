"""The dialect ``responses``: OpenAI's Responses API."""
