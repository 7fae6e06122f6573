"""The exhaustive checker, which walks every interleaving of the tables and the core."""
