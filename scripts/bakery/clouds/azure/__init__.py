"""Azure: fixed VHD -> page blob -> gallery version -> replicas -> tags; each step finds before it creates."""
