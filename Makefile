# `make help` lists the targets. Requires make, bash and Python 3.11, 3.12 or 3.13.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Two stamps: what `make dev` and `make demo` need is a third of what tests, linters and docs need.
RUNNABLE := $(VENV)/.runnable
INSTALLED := $(VENV)/.installed
RUN_EXTRAS := dg
FLOE_HOME ?= .floe
# For every target that runs tests: make test-plugin ARGS="-x -k merge" JOBS=4
ARGS ?=
# More than cores: half of the time, a test waits for servers and child processes.
JOBS ?= $(shell $(PYTHON) -c "import os; print((os.cpu_count() or 1) * 3 // 2)")
PYTEST = $(BIN)/python -m pytest -n $(JOBS)
# Each file by one process, in the order of tests/conftest.py, since fixtures are shared by file.
BY_FILE = --dist loadfile --no-loadscope-reorder

# No usage telemetry from the commands below.
export RUNTIME__DLTHUB_TELEMETRY := false
export DAGSTER_DISABLE_TELEMETRY := true

# What `make dev` runs.
DEV = FLOE_HOME="$(FLOE_HOME)" $(BIN)/python -m floe_ingestion_defs.cli dev

# The worked example's targets; absent where the example was removed.
-include example.mk

.PHONY: help venv dev test test-all test-fast test-ui coverage chromium java new-source new-project lint docs bench

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-23s%s\n", $$1, $$2}' $(MAKEFILE_LIST)

venv: $(INSTALLED) ## create .venv with everything, for development

dev: $(RUNNABLE) ## open the Dagster UI; on another port: make dev PORT=3001
	@$(DEV) $(if $(PORT),--port $(PORT))

test: $(INSTALLED) chromium java ## run the tests; ARGS= options of pytest, JOBS= number of processes (default: three per two cores)
	@$(PYTEST) $(BY_FILE) -m "not all_cases" $(ARGS)

test-all: $(INSTALLED) chromium java ## run the tests with every combination of cases
	@$(PYTEST) $(BY_FILE) $(ARGS)

test-fast: $(INSTALLED) ## run the four layers' tests without servers and slow cases, in minutes
	@$(PYTEST) --dist worksteal -m "not servers and not slow and not all_cases" \
		tests/contracts tests/destinations tests/dlt_plugin tests/dagster_wiring tests/components $(ARGS)

# One target per layer, and the folders below tests/ that it runs.
test-contracts: FOLDERS = contracts ## run the tests of the contracts
test-destinations: FOLDERS = destinations dlt_suite ## run the tests of the destination
test-plugin: FOLDERS = dlt_plugin ## run the tests of the plugin
test-wiring: FOLDERS = dagster_wiring components ## run the tests of the Dagster wiring and the component
test-faults: FOLDERS = faults concurrency ## run the tests that kill processes and run them concurrently
test-end-to-end: FOLDERS = end_to_end ## run the tests of whole stacks, and of the demo
test-deployment: FOLDERS = deployment ## run the tests of images, charts and workflows
test-interoperability: FOLDERS = interoperability ## run the tests in which other engines read the tables
test-project: FOLDERS = project scaffold servers sources ## run the tests of the repository's own files
LAYERS := test-contracts test-destinations test-plugin test-wiring test-faults test-end-to-end \
	test-deployment test-interoperability test-project
.PHONY: $(LAYERS)
test-destinations test-interoperability test-project: java
$(LAYERS): $(INSTALLED)
	@$(PYTEST) $(BY_FILE) -m "not all_cases" $(addprefix tests/,$(FOLDERS)) $(ARGS)

test-ui: $(INSTALLED) chromium ## run the tests that use Dagster's UI in a browser
	@$(PYTEST) $(BY_FILE) tests/ui $(ARGS)

coverage: $(INSTALLED) ## report the test coverage of plugin and destination; less than 90 % is an error
	@$(PYTEST) $(BY_FILE) -m "not all_cases" --cov --cov-report=term-missing:skip-covered \
		tests/contracts tests/destinations tests/dlt_plugin --ignore=tests/destinations/test_lowest_versions.py $(ARGS)

# tests/ui/chromium.py searches for the same names. Without apt-get, install a browser by hand.
chromium: ## install Debian's chromium if no browser is found for the tests
	@for name in chromium chromium-browser google-chrome google-chrome-stable; do \
		command -v "$$name" >/dev/null && exit 0; \
	done; \
	if [[ $$(id -u) != 0 ]] || ! command -v apt-get >/dev/null; then \
		echo "error: the tests of the UI require Chromium or Chrome on the PATH; none was found." >&2; \
		echo "Install one (Debian: sudo apt-get install chromium), and run make again." >&2; \
		exit 1; \
	fi; \
	echo "Installing Debian's chromium, which the tests of the UI need"; \
	apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium >/dev/null

# tests/servers/spark.py fetches Spark itself. Any installed Java is used; Spark 3.5 runs on 17.
java: ## install Debian's Java 17 for Spark if no Java is found
	@if [[ -n $${JAVA_HOME:-} ]] || command -v java >/dev/null; then exit 0; fi; \
	if [[ $$(id -u) != 0 ]] || ! command -v apt-get >/dev/null; then \
		echo "error: the tests with Spark need a Java 17 on the PATH, and there is none." >&2; \
		echo "Install one (Debian: sudo apt-get install openjdk-17-jre-headless), and run make again." >&2; \
		exit 1; \
	fi; \
	echo "Installing Debian's openjdk-17-jre-headless, which the tests with Spark need"; \
	apt-get update -qq && apt-get install -y -qq --no-install-recommends openjdk-17-jre-headless >/dev/null

new-source: $(RUNNABLE) ## generate a source from a tested template: make new-source NAME=shop
	@$(BIN)/python -m floe_ingestion_defs.scaffold.new_source $(NAME)

new-project: $(RUNNABLE) ## generate a project that depends on this one: make new-project NAME=acme_ingestion DIR=../acme
	@$(BIN)/python -m floe_ingestion_defs.scaffold.new_project $(NAME) $(DIR)

lint: $(INSTALLED) ## run ruff, mypy, import-linter, deptry and zizmor
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@MYPYPATH=tests $(BIN)/mypy --explicit-package-bases tests benchmarks
	@$(BIN)/lint-imports
	@$(BIN)/deptry floe_ingestion_defs dlt_sources
	@$(BIN)/zizmor --offline --quiet .github

docs: $(INSTALLED) ## build the documentation site into site/; a warning is an error
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "The site is in site/index.html"

bench: $(INSTALLED) ## benchmark this project against stock dlt; selected cases: make bench CASES="merge-20k growth"
	@$(BIN)/python -m benchmarks $(CASES)

# Installed again only when the requirements change. The interpreter is python3 if its version is
# supported, or else the newest supported one; PYTHON=… selects one explicitly.
$(RUNNABLE): EXTRAS = $(RUN_EXTRAS)
$(INSTALLED): EXTRAS = dev
$(RUNNABLE) $(INSTALLED): pyproject.toml constraints.txt
	@fits() { "$$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; }; \
	python=; \
	for candidate in "$(PYTHON)" $(if $(filter file,$(origin PYTHON)),python3.13 python3.12 python3.11); do \
		if fits "$$candidate"; then python=$$candidate; break; fi; \
	done; \
	if [[ -z $$python ]]; then \
		echo "error: Python 3.11, 3.12 or 3.13 is required; $(PYTHON) is $$("$(PYTHON)" --version 2>/dev/null || echo absent)." >&2; \
		echo "Install one, or select it: make PYTHON=/path/to/python3.12" >&2; \
		exit 1; \
	fi; \
	if ! { [[ -x $(BIN)/python ]] && fits $(BIN)/python; }; then \
		echo "Creating $(VENV) with $$("$$python" --version)"; \
		"$$python" -m venv --clear $(VENV); \
	fi
	@echo "Installing the packages (once; the full output is in $(VENV)/install.log)"
	@$(BIN)/python -m pip install --disable-pip-version-check --no-input --progress-bar off \
		-c constraints.txt -e '.[$(EXTRAS)]' 2>&1 | tee $(VENV)/install.log | awk \
		'/^Collecting / {n++; if (n % 20 == 0) {printf "  %d packages found, %s\n", n, $$2; fflush()}} \
		 /^Installing collected packages/ {print "  installing them"; fflush()} \
		 /^Successfully installed/ {print "  done"} \
		 /^ERROR/ {print; fflush()}' \
		|| { tail -n 20 $(VENV)/install.log >&2; exit 1; }
	@touch $(RUNNABLE) $@ # development includes what runs
