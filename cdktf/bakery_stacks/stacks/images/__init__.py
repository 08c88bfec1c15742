"""The images stack: outputs with the images of a channel."""
