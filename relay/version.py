"""The version of relay, in one place."""

VERSION = "0.1.0"
