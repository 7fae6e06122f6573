# Set up, test and check PVC; `make help` lists what there is.

SHELL       := /bin/bash
PYTHON      ?= python3
VENV        := .venv
BIN         := $(VENV)/bin
# The path is written into it: a virtual environment does not survive a move of its directory.
STAMP       := $(VENV)/.ready-for
EXTRAS      := test,check,lint

.DEFAULT_GOAL := help
.PHONY: help setup packages

help:  ## this list
	@sed -nE 's/^([a-z-]+):.*  ## (.*)/  make \1|\2/p' $(firstword $(MAKEFILE_LIST)) | column -t -s '|'

setup: packages $(STAMP)  ## Debian packages (as root, only missing ones) and a .venv with everything

packages:
	@tools/install-debian.sh

ifneq ($(shell cat $(STAMP) 2>/dev/null),$(CURDIR))
.PHONY: $(STAMP)
endif

$(STAMP): pyproject.toml | packages
	@tools/check-python.sh $(PYTHON)
	[ "$$(cat $@ 2>/dev/null)" = '$(CURDIR)' ] || $(PYTHON) -m venv --clear $(VENV)
	$(BIN)/pip install --quiet --editable '.[$(EXTRAS)]'
	@echo '$(CURDIR)' > $@
