"""The stack that hands out the images of a channel."""
