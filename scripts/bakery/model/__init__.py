"""The values that users and stages share: definitions, documents, names and tags."""
