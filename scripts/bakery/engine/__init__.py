"""Plans, carries out the steps of each version, moves channels and writes the GitLab pipeline."""
