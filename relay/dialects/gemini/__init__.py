"""The dialect ``gemini``: generateContent, embedContent and countTokens."""
