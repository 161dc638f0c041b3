"""The templates with which a new project is installed and run: Makefile and environment."""

MAKEFILE = """\
# `make help` lists the targets. Requires make, bash and Python 3.11, 3.12 or 3.13.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed
# The folder with the engine's wheel, if no package index provides it: make venv WHEELS=../dist
WHEELS ?=
# Extras of this project to install, too: make venv EXTRAS=dev,postgres
EXTRAS ?= dev
# Options of pytest: make test ARGS="-x -k shop"
ARGS ?=

.PHONY: help venv dev check test new-source constraints

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {{printf "  make %-14s%s\\n", $$1, $$2}}' Makefile

venv: $(INSTALLED) ## create .venv, with the versions in constraints.txt

dev: $(INSTALLED) ## open the Dagster UI; on another port: make dev PORT=3001
	@$(BIN)/floe dev $(if $(PORT),--port $(PORT))

check: $(INSTALLED) ## validate every defs.yaml, without opening a connection
	@$(BIN)/dg check defs

test: $(INSTALLED) ## run the tests
	@$(BIN)/python -m pytest $(ARGS)

new-source: $(INSTALLED) ## generate a source in Python: make new-source NAME=shop
	@$(BIN)/python -m floe_ingestion_defs.scaffold.new_source $(NAME)

constraints: $(INSTALLED) ## record the installed versions in constraints.txt, after an upgrade
	@$(BIN)/python -m pip freeze --exclude-editable --exclude floe-ingestion-defs > constraints.txt

$(INSTALLED): pyproject.toml constraints.txt
	@[[ -x $(BIN)/python ]] || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt \\
		$(if $(WHEELS),--find-links $(WHEELS)) -e '.[$(EXTRAS)]'
	@touch $@
"""

ENVIRONMENT = """\
# The environment variables of this project. None is required: by default, catalog and warehouse are
# local, below .floe/.
#
#   cp .env.example .env           git ignores .env, so it may contain secrets
#   set -a; source .env; set +a    before dagster, dg, floe or pytest

# THE CATALOG
# The pyiceberg catalog named `floe`; `__` is replaced by a dot and `_` by a dash, so
# S3__ACCESS_KEY_ID is `s3.access-key-id`. A REST catalog, whose files are in S3:
#PYICEBERG_CATALOG__FLOE__TYPE=rest
#PYICEBERG_CATALOG__FLOE__URI=https://catalog.example.com/api/catalog
#PYICEBERG_CATALOG__FLOE__WAREHOUSE=lake
#PYICEBERG_CATALOG__FLOE__CREDENTIAL=client-id:client-secret
# Object storage, if the catalog does not vend credentials:
#PYICEBERG_CATALOG__FLOE__S3__ENDPOINT=http://127.0.0.1:9000
#PYICEBERG_CATALOG__FLOE__S3__REGION=us-east-1
#PYICEBERG_CATALOG__FLOE__S3__ACCESS_KEY_ID=access-key
#PYICEBERG_CATALOG__FLOE__S3__SECRET_ACCESS_KEY=secret-key

# LOCAL FOLDERS
# Where the embedded catalog and its warehouse are stored; default: .floe next to pyproject.toml.
#FLOE_HOME=/var/lib/floe
# Dagster's instance: an absolute path. `make dev` always uses $FLOE_HOME/dagster.
#DAGSTER_HOME=/var/lib/floe/dagster

# DAGSTER'S STORAGE IN POSTGRESQL, in a deployment (extra `production`)
#DAGSTER_PG_HOST=db.example.com
#DAGSTER_PG_PORT=5432
#DAGSTER_PG_DB=dagster
#DAGSTER_PG_USERNAME=dagster
#DAGSTER_PG_PASSWORD=password

# LOGS, ALERTS AND LINEAGE
# console (the default), or json: one object per line, on standard error.
#FLOE_LOG_FORMAT=json
# URL to which every failed run is posted, as JSON.
#FLOE_FAILURE_WEBHOOK_URL=https://hooks.example.com/secret
# A server of OpenLineage (extra `openlineage`).
#OPENLINEAGE_URL=http://127.0.0.1:5000

# USAGE TELEMETRY of dlt and Dagster
#RUNTIME__DLTHUB_TELEMETRY=false
#DAGSTER_DISABLE_TELEMETRY=true
"""
