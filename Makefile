# Every command of the project; each sets up what it needs.  `make help` lists them.
#
#   make test ARGS="-k gate"            hand arguments to pytest
#   make test PROCESSES=0               run the tests in one process, not in one for each core
#   make setup PYTHON=python3.13        choose the interpreter (3.11 or newer)
#   make setup TORCH_INDEX=https://download.pytorch.org/whl/cpu     choose where torch comes from

PYTHON ?= python3
TORCH_INDEX ?=
ARGS ?=
PROCESSES ?= logical

SHELL := /bin/bash
BIN := .venv/bin
TESTS = OMP_NUM_THREADS=1 $(BIN)/pytest --numprocesses $(PROCESSES) --maxprocesses 8 --dist worksteal $(ARGS)
PIP := $(BIN)/python -m pip install --disable-pip-version-check -qq
TORCH = $(shell sed -n '/^torch==/p' constraints.txt)
READY := .venv/.ready

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup demo serve test check fix generate conformance bench bench-diagnosis bench-treatments clean

help: ## List these commands.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

setup: $(READY) ## Create .venv and install everything into it, at the versions of constraints.txt.

# torch comes first and at an exact version, so that nothing below can swap the chosen build for another.
$(READY): pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null || { echo 'Gradgate needs Python 3.11 or newer, and there is no $(PYTHON) here: name one with make setup PYTHON=…' >&2; exit 1; }
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit("Gradgate needs Python 3.11 or newer; $(PYTHON) is %d.%d: name another one with make setup PYTHON=..." % v[:2] if v < (3, 11) else 0)'
	@echo 'Setting up .venv: a few minutes the first time.'
	@$(PYTHON) -m venv .venv
	$(PIP) $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) '$(TORCH)'
	$(PIP) --constraint constraints.txt --editable '.[worker,dev]'
	@touch $@

demo: $(READY) ## Examine four models with a service of its own; the reports stay in demo-reports/.
	$(BIN)/python examples/demo.py

serve: $(READY) ## Run the whole service on this machine, at http://127.0.0.1:8000, until Ctrl-C.
	$(BIN)/gradgate up

test: $(READY) ## Run the tests; ARGS="…" goes to pytest.
	$(TESTS)

check: $(READY) ## Run everything that a change must pass: style, types, layers, tests. CI runs this.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(TESTS)

fix: $(READY) ## Mend what can be mended without thinking: style and format.
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

generate: $(READY) ## Write the generated files anew: OpenAPI, rule pages, tables, sample reports.
	$(BIN)/pytest --update -m golden

conformance: $(READY) ## Run ONNX's whole backend suite; writes down how each case ended, and docs/operators.md.
	$(BIN)/python tests/network/conformance.py
	$(BIN)/pytest -q --update -m golden tests/network

bench: $(READY) ## Run every benchmark; the figures go to the terminal and to build/bench/*.json.
	@mkdir -p build/bench
	@set -eo pipefail; for script in benchmarks/*.py; do \
	    name=$$(basename "$$script" .py); echo "== $$name" >&2; \
	    $(BIN)/python "$$script" | tee "build/bench/$$name.json"; \
	done

bench-diagnosis: $(READY) ## Examine the labelled models, beside published rules; writes docs/accuracy.md.
	$(BIN)/python -m benchmarks.diagnosis.run --results benchmarks/diagnosis/results.json
	$(BIN)/python -m benchmarks.diagnosis.accuracy

bench-treatments: $(READY) ## Treat the sick ones, beside common advice; writes docs/treatments.md and docs/articles.md.
	$(BIN)/python -m benchmarks.treatments.run --results benchmarks/treatments/results.json
	$(BIN)/python -m benchmarks.treatments.page
	$(BIN)/python benchmarks/articles.py --results benchmarks/treatments/articles.json
	$(BIN)/python -m benchmarks.treatments.articles

clean: ## Remove what was built, measured and cached; .venv and the service's own data stay.
	rm -rf build dist demo-reports .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache *.egg-info
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
