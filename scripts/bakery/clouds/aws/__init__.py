"""AWS: raw disk -> snapshot -> AMI -> copies -> shares -> SSM parameters; each step finds before it creates."""
