# `make help` lists what there is. Needs make, bash and one Python of 3.11 to 3.13.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
FLOE_HOME ?= .floe

# Nothing that runs from here reports home.
export RUNTIME__DLTHUB_TELEMETRY := false
export DAGSTER_DISABLE_TELEMETRY := true

.PHONY: help venv test test-all test-ui coverage chromium new-source new-project lint bench

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-16s%s\n", $$1, $$2}' $(MAKEFILE_LIST)

venv: $(INSTALLED) ## make .venv and install into it

# The worked example begins; `make remove-example` takes everything out to where it ends.
.PHONY: demo dev screenshots clean-demo remove-example

demo: $(INSTALLED) ## load New York's flights of 2013 into Iceberg, three runs, no server needed
	@$(BIN)/python -m dlt_sources.nyc_flights.demo

dev: $(INSTALLED) ## open the Dagster UI on what the demo loaded; on a port of your own: make dev PORT=3001
	@$(BIN)/python -m dlt_sources.nyc_flights.dev $(if $(PORT),--port $(PORT))

screenshots: $(INSTALLED) chromium ## take the pictures in docs/images again
	@PYTHONPATH=tests $(BIN)/python -m sources.nyc_flights.screenshots docs/images

clean-demo: ## remove everything that demo and dev made
	@cd -- "$(FLOE_HOME)" 2>/dev/null || { echo "$(FLOE_HOME) does not exist: nothing to remove"; exit 0; }; \
	rm -rf -- catalog.db* warehouse dagster outside_world; \
	echo "Removed what demo and dev made in $(FLOE_HOME)"

remove-example: $(INSTALLED) ## take the flights out of a copy of this repository, for sources of your own
	@$(BIN)/python -m dlt_sources.nyc_flights.remove
#: .PHONY: dev
#:
#: dev: $(INSTALLED) ## open the Dagster UI
#: 	@mkdir -p "$(FLOE_HOME)/dagster"
#: 	@DAGSTER_HOME="$$(cd "$(FLOE_HOME)/dagster" && pwd)" $(BIN)/dagster dev -w workspace.yaml
# The worked example ends.

test: $(INSTALLED) chromium ## run the tests, two files at a time
	@$(BIN)/python -m pytest -n 2 --dist loadfile -m "not all_cases"

test-all: $(INSTALLED) chromium ## run the tests with every combination of cases
	@$(BIN)/python -m pytest -n 2 --dist loadfile

test-ui: $(INSTALLED) chromium ## run the tests that use Dagster's UI in a browser
	@$(BIN)/python -m pytest tests/ui

coverage: $(INSTALLED) ## say how much of plugin and destination their tests run; less than 90 % is an error
	@$(BIN)/python -m pytest -n 2 --dist loadfile -m "not all_cases" --cov --cov-report=term-missing:skip-covered \
		tests/contracts tests/destinations tests/dlt_plugin --ignore=tests/destinations/test_lowest_versions.py

# tests/ui/chromium.py looks for the same names. Root without apt-get has its own way to install.
chromium: ## install Debian's chromium where there is no browser for the tests
	@for name in chromium chromium-browser google-chrome google-chrome-stable; do \
		command -v "$$name" >/dev/null && exit 0; \
	done; \
	if [[ $$(id -u) != 0 ]] || ! command -v apt-get >/dev/null; then \
		echo "error: the tests of the UI need a Chromium or Chrome on the PATH, and there is none." >&2; \
		echo "Install one (Debian: sudo apt-get install chromium), and run make again." >&2; \
		exit 1; \
	fi; \
	echo "Installing Debian's chromium, which the tests of the UI need"; \
	apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium >/dev/null

new-source: $(INSTALLED) ## make a source of your own from a tested template: make new-source NAME=shop
	@$(BIN)/python -m floe_ingestion_defs.scaffold.new_source $(NAME)

new-project: $(INSTALLED) ## make a project that depends on this one: make new-project NAME=acme_ingestion DIR=../acme
	@$(BIN)/python -m floe_ingestion_defs.scaffold.new_project $(NAME) $(DIR)

lint: $(INSTALLED) ## ruff, mypy, the layers
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/lint-imports

bench: $(INSTALLED) ## measure this project against stock dlt; some of it: make bench CASES="merge-20k growth"
	@$(BIN)/python -m benchmarks $(CASES)

# Installed again only when the requirements changed. The interpreter is python3 if it fits, else the
# newest that does; with PYTHON=… it is that one or none.
$(INSTALLED): pyproject.toml constraints.txt
	@fits() { "$$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; }; \
	python=; \
	for candidate in "$(PYTHON)" $(if $(filter file,$(origin PYTHON)),python3.13 python3.12 python3.11); do \
		if fits "$$candidate"; then python=$$candidate; break; fi; \
	done; \
	if [[ -z $$python ]]; then \
		echo "error: Python 3.11, 3.12 or 3.13 is needed; $(PYTHON) is $$("$(PYTHON)" --version 2>/dev/null || echo absent)." >&2; \
		echo "Install one, or name it: make PYTHON=/path/to/python3.12" >&2; \
		exit 1; \
	fi; \
	if ! { [[ -x $(BIN)/python ]] && fits $(BIN)/python; }; then \
		echo "Making $(VENV) with $$("$$python" --version)"; \
		"$$python" -m venv --clear $(VENV); \
	fi
	@echo "Installing the packages (once; the whole output is in $(VENV)/install.log)"
	@$(BIN)/python -m pip install --disable-pip-version-check --no-input --progress-bar off \
		-c constraints.txt -e '.[dev]' 2>&1 | tee $(VENV)/install.log | awk \
		'/^Collecting / {n++; if (n % 20 == 0) {printf "  %d packages found, %s\n", n, $$2; fflush()}} \
		 /^Installing collected packages/ {print "  installing them"; fflush()} \
		 /^Successfully installed/ {print "  done"} \
		 /^ERROR/ {print; fflush()}' \
		|| { tail -n 20 $(VENV)/install.log >&2; exit 1; }
	@touch $@
