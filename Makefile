# The two commands are `make demo` and `make test`; both install first what is missing.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed

.PHONY: install demo test lint types layers docs examples check clean

install: $(INSTALLED)

# One pip command, so that the pinned torch is taken and nothing replaces it later. pip would compile
# on one core, for as long as it installs; a module in the syntax of a newer Python is left as it is.
$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed, found: $$($(PYTHON) --version 2>&1); try make PYTHON=python3.12" >&2; exit 1; }
	@echo "Installing into .venv (a few minutes the first time)"
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --no-compile --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@$(BIN)/python -m compileall -qq -j 0 .venv/lib || true
	@touch $@

demo: install
	@$(BIN)/python examples/demo.py

# make test ARGS="-k mask": some of the tests. Each of up to four processes has one thread.
test: install
	@$(BIN)/python -m pytest -q -n auto --maxprocesses 4 $(ARGS)

lint: install
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --check --quiet .

types: install
	@$(BIN)/mypy

# Imports between the packages point one way.
layers: install
	@$(BIN)/lint-imports

# The pages land in site/.
docs: install
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

examples: install
	@set -e; for example in examples/*.py; do echo "$$example"; $(BIN)/python "$$example" --short; done

# All that CI runs.
check:
	@bash .ci/run

clean:
	rm -rf .venv build dist site demo_output .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
