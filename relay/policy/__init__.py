"""Decisions: routing, credentials, limits. Pure; time and randomness are arguments."""
