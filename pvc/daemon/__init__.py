"""The node daemon, pvcd."""
