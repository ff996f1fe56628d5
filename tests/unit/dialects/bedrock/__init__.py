"""Tests of the dialect ``bedrock``."""
