#!/bin/sh
# Says in a sentence what is wrong with a Python that cannot make our virtual environment. Usage: check-python.sh PYTHON
set -eu

python=$1

if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    echo "PVC needs Python 3.11 or newer, and '$python' is not that. Next: make setup PYTHON=/path/to/python3.11" >&2
    exit 1
fi
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    echo "'$python' cannot make a virtual environment: its ensurepip module is missing. Next: apt install python3-venv, as root" >&2
    exit 1
fi
