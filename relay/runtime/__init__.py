"""What relay puts under Twisted's event loop: eager sockets, a lean poll, a timer wheel, lean TLS."""
