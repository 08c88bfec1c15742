"""A strict stand-in for AWS: moto's server with what moto leaves out (see README.md)."""
