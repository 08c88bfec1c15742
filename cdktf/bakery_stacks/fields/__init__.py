"""Types of settings that several stacks use: names, ranges, types of machines, checked when they are read."""
