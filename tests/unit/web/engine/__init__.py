"""Tests of relay.web.engine, and the site's tests on its channel."""
