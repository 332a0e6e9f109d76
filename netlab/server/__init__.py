"""Build: the server, its strategies, and the workers' loops."""
