"""The way to providers: connections, deadlines, bodies, model lists."""
