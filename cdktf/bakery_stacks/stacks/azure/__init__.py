"""The azure stack: a Compute Gallery, and the right to publish to it."""
