"""Programs that stand in for services that the demo would need an account or a server for."""
