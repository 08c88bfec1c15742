"""Types of the settings of stacks: names, ranges and instance types, checked when an environment is read."""
