# Everything runs from this folder, whatever its name: no rule here depends on a path, and programs are modules of .venv's Python.
SHELL := bash
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
PY := .venv/bin/python
PORT ?= 8000
TESTS ?= tests
WORKERS ?= 2
export PYTHON
# Where bytecode is not kept, each of the demonstration's processes compiles a thousand files anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo test soak lint bench screenshots audit requirements clean

help: ## this list
	@awk -F ' *## *' '/^[a-z]+:.*##/ { sub(/:.*/, "", $$1); printf "  make %-13s %s\n", $$1, $$2 }' Makefile

demo: ## open the market in a browser, with a county's data (PORT=8000); Ctrl-C ends it
	@.ci/environment demo
	@exec $(PY) -m flask demo --port $(PORT)

test: ## run the tests (TESTS=tests/ledger for a part, WORKERS=2)
	@.ci/environment dev
	@.ci/setup_debian
	@exec $(PY) -m pytest -q -n $(WORKERS) --dist worksteal $(TESTS)

soak: ## run the long tests: years of trade, then the books
	@.ci/environment dev
	@.ci/setup_debian
	@exec $(PY) -m pytest -q -n $(WORKERS) --dist worksteal -m soak $(TESTS)

lint: ## check style, types, the ladder and the tree itself
	@.ci/environment dev
	@.ci/lint

bench: ## measure, and write docs/performance.md (PARTS="pages orders" for some)
	@.ci/environment dev
	@.ci/setup_debian bench
	@exec $(PY) -m bench $(PARTS)

screenshots: ## take a picture of every page, phone and desk, in var/screenshots (SHOTS=--home for the README's, --audit to look each over)
	@.ci/environment dev
	@.ci/setup_debian
	@exec $(PY) -m tests.screenshots $(SHOTS)

audit: ## ask the vulnerability database about every pinned package (needs the internet)
	@.ci/environment dev
	@exec $(PY) -m uv tool run pip-audit --require-hashes --disable-pip -r requirements-dev.txt

requirements: ## pin again what requirements.in and requirements-dev.in ask for (UP=--upgrade for newer ones)
	@.ci/environment dev
	@for each in requirements requirements-dev; do \
		$(PY) -m uv pip compile --quiet --generate-hashes --universal --no-emit-index-url --python-version 3.11 $(UP) $$each.in -o $$each.txt; \
	done

clean: ## remove the environment, caches and the demonstration's data (var/)
	@rm -rf .venv .venv.lock var .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache test-results
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
