"""Multi-Cloud Image Bakery: build, verify, publish and catalog machine images."""
