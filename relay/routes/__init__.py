"""One model name, several deployments: the way of an exchange along a route, and what is known of its deployments."""
