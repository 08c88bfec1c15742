"""vSphere: one OVF item per version in a content library, and an item per channel that is a copy of one of them."""
