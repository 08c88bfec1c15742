"""The parts of an environment that belong to one stack each; without its part, a stack is not there."""
