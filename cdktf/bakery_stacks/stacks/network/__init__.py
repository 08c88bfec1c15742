"""The network stack: private subnets for the machines of other stacks."""
