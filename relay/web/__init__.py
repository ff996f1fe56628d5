"""The client's side: the Resource tree, request bodies, the one error door."""
