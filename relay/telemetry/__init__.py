"""Observers of exchanges: metrics, logs, alerts."""
