"""The architecture of an environment, read from its synthesised Terraform, and drawn."""
