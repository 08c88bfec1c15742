"""The azure stack: a Compute Gallery, and who may publish to it."""
