"""The entry point of `pvcd`, the node daemon."""

import argparse
import sys
from collections.abc import Sequence

from pvc import __version__

NOT_YET = "pvcd cannot run a node yet: this version holds the state machines and the store, not the phases of the daemon."


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the daemon and return its exit code."""
    parser = argparse.ArgumentParser(prog="pvcd", description="The node daemon of PVC.")
    parser.add_argument("--version", action="version", version=f"pvcd {__version__}")
    parser.parse_args(arguments)
    print(NOT_YET, file=sys.stderr)
    return 1
