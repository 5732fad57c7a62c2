"""What developers run: installing, locking and the policy scan."""
