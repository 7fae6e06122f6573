"""The client command line, pvc."""
