"""Tests of relay."""

from hypothesis import HealthCheck, settings

# How long an example takes says something about the machine only.
settings.register_profile("relay", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("relay")
