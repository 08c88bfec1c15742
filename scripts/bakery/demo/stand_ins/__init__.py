"""Stand-ins for services for which the demo would otherwise need an account or a server."""
