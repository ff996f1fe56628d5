"""Tests without sockets and without real time; the layout follows relay/."""
