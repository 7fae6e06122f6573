# Set up, test and check PVC; `make help` lists what there is.

SHELL       := /bin/bash
PYTHON      ?= python3
VENV        := .venv
BIN         := $(VENV)/bin
# It holds the path of this directory: a virtual environment does not survive a move.
STAMP       := $(VENV)/.ready-for
# What must be there before it: all that tests need, unless somebody only wants a look.
PREPARED    := packages
EXTRAS      := test,check,lint

# Further options for pytest, as in: make test PYTEST_OPTIONS='-x -k store'
PYTEST_OPTIONS  ?=
# How many processes share the files of tests; 0: one does all, as --pdb needs it.
WORKERS         ?= 2
SHARED          := -n $(WORKERS) --dist loadfile

.DEFAULT_GOAL := help
.PHONY: help setup packages lab lab-down lab-packages deb-packages demo-packages libvirt-python test test-long lint properties oldest demo record deb try-packages explore explore-fresh sim check check-full diagrams clean

help:  ## this list
	@sed -nE 's/^([a-z-]+):.*  ## (.*)/  make \1|\2/p' $(firstword $(MAKEFILE_LIST)) | column -t -s '|'

setup: packages $(STAMP)  ## missing Debian packages (as root) and a .venv with everything else

test: setup libvirt-python lint  ## set up, also what the lab needs, then every test, the quick ones first
	$(BIN)/pytest $(SHARED) $(PYTEST_OPTIONS)

test-long: setup libvirt-python  ## what takes minutes and every other run leaves out (as root for the lab)
	$(BIN)/pytest --long $(PYTEST_OPTIONS)

lab: setup libvirt-python  ## bring up three hosts on this machine, with real guests (as root); see docs/lab.md
	@tools/lab up

lab-down:  ## take them down again
	@tools/lab down

lint: setup  ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/mypy

properties: setup  ## the property tests alone, with far more examples
	$(BIN)/pytest tests/property --hypothesis-profile=thorough $(PYTEST_OPTIONS)

oldest: setup libvirt-python  ## the quick tests with the versions of Debian 12
	PVC_LIBVIRT="$$(pkg-config --exists libvirt 2>/dev/null && echo libvirt-python==9.0.0)" $(BIN)/tox run -q -e debian12 -- $(SHARED) --quick $(PYTEST_OPTIONS)

demo: demo-packages  ## a story on a simulated cluster: VMs start, move and come back when nodes die; no root, no ZooKeeper
	@$(MAKE) --silent PREPARED= $(STAMP)
	@$(BIN)/pvc sim demo

record: setup  ## record the demo again: docs/demo.svg and docs/demo.txt
	$(BIN)/python tools/record.py

deb: deb-packages  ## build the Debian packages into the directory above this one
	./build-deb.sh

try-packages: setup deb-packages  ## build them, and try them in a fresh Debian with its own systemd (as root, some two minutes)
	$(BIN)/python tools/try_packages.py

sim: explore

explore: setup  ## simulated clusters under everything that may befall them, PVC_SEEDS of them; every row of the tables has to fire
	$(BIN)/pvc sim explore --nodes 3-5 --vms 4-12 --seeds $${PVC_SEEDS:-20000} --jobs 2 --cover

explore-fresh: setup  ## the same for PVC_SECONDS, with seeds that nobody has played before; they are told
	$(BIN)/pvc sim explore --nodes 3-5 --vms 4-12 --seeds 1000000 --time $${PVC_SECONDS:-150} --jobs 2

check: setup  ## prove the state machines: every interleaving of a small cluster
	$(BIN)/pvc fsm check
	$(BIN)/pvc fsm check --domains 2 --coarse
	$(BIN)/pvc fsm check --nodes 3 --domains 2 --faults 2 --coarse

check-full: setup  ## the same for larger clusters, with everything at rest in the end, and with rows and guards taken out one by one
	$(BIN)/pvc fsm check --nodes 3 --coarse
	$(BIN)/pvc fsm check --settle --faults 1
	$(BIN)/pvc fsm check --mutate

diagrams: setup  ## draw the state machines again, into diagrams/, and write docs/states.md and docs/znodes.md
	$(BIN)/pvc fsm diagram -o diagrams --format dot
	$(BIN)/pvc fsm diagram -o diagrams --format svg
	$(BIN)/pvc fsm diagram -o docs/states.md
	$(BIN)/python -m pvc.cluster.reference > docs/znodes.md

clean:  ## remove everything that was generated and is not kept in git
	rm -rf $(VENV) .tox .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist *.egg-info
	find pvc lab tests -name __pycache__ -prune -exec rm -rf {} +

packages:
	@tools/install-debian.sh

lab-packages:
	@tools/install-debian.sh lab

deb-packages:
	@tools/install-debian.sh deb

demo-packages:
	@tools/install-debian.sh demo

# Built from source: only where libvirt's headers are. Where they are not, the tests that need it say so.
libvirt-python: lab-packages $(STAMP)
	@$(BIN)/python -c 'import libvirt' 2>/dev/null || ! pkg-config --exists libvirt 2>/dev/null || \
		$(BIN)/pip install --quiet --editable '.[$(EXTRAS),libvirt]'

ifneq ($(shell cat $(STAMP) 2>/dev/null),$(CURDIR))
.PHONY: $(STAMP)
endif

$(STAMP): pyproject.toml | $(PREPARED)
	@tools/check-python.sh $(PYTHON)
	[ "$$(cat $@ 2>/dev/null)" = '$(CURDIR)' ] || $(PYTHON) -m venv --clear $(VENV)
	$(BIN)/pip install --quiet --editable '.[$(EXTRAS)]'
	@echo '$(CURDIR)' > $@
