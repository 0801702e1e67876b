# SPDX-License-Identifier: Apache-2.0
# setup check test demo bench docs: all there is. Everything runs in .venv; a second `make setup`
# does nothing until one of the files it was made from changes.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.setup.stamp
# Analysers whose pinned libraries clash with ours have an environment of their own.
TOOLS := .venv-tools
TOOLS_STAMP := $(TOOLS)/.setup.stamp
WORKERS ?= 2

.PHONY: setup check test demo bench docs

setup: $(STAMP) $(TOOLS_STAMP)

$(STAMP): pyproject.toml constraints.txt scripts/setup_system.sh
	PYTHON=$(PYTHON) scripts/setup_system.sh
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt \
		-e '.[hf,train,judge,report,audit,sign,dev]'
	pwd > $$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/checkout.pth
	touch $(STAMP)

$(TOOLS_STAMP): constraints-tools.txt | $(STAMP)
	test -x $(TOOLS)/bin/python || $(PYTHON) -m venv $(TOOLS)
	$(TOOLS)/bin/pip install --quiet --disable-pip-version-check -c constraints-tools.txt semgrep
	touch $(TOOLS_STAMP)

check: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python scripts/make_docs.py --check

test: $(STAMP) $(TOOLS_STAMP)
	$(BIN)/python -m pytest -q -n $(WORKERS) $(ARGS)

demo: $(STAMP)
	$(BIN)/codetemper demo $(ARGS)

bench: $(STAMP)
	@test -n "$(NAME)" || { echo "make bench NAME=..., one of:" $$(ls benchmarks); exit 2; }
	$(BIN)/python benchmarks/$(NAME)/run.py $(ARGS)

docs: $(STAMP)
	$(BIN)/python scripts/make_docs.py
