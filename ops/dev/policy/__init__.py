"""What `make policy` checks: the plan of every variant, its IAM policies, and the locked packages."""
