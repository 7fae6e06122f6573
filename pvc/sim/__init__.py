"""The seeded simulator of a whole cluster in one process, on a virtual clock."""
