"""Azure: fixed VHD -> page blob -> gallery version -> replicas -> tags; each step finds before it creates."""

from bakery.publish.azure.target import AzureTarget

__all__ = ["AzureTarget"]
