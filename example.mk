# The worked example's targets. CONTRIBUTING.md describes how to remove the example.

# The original data.
RUN_EXTRAS := $(RUN_EXTRAS),demo
# `make dev` also starts the source systems that the example loads from.
DEV := $(BIN)/python -m dlt_sources.nyc_flights_demo.dev

.PHONY: demo demo-break demo-repair weather screenshots clean-demo
SYSTEMS = $(BIN)/python -m dlt_sources.nyc_flights_demo.simulated_systems

demo: $(RUNNABLE) ## load New York's flights of 2013 into Iceberg, three runs, no server required
	@$(BIN)/python -m dlt_sources.nyc_flights_demo

demo-break: $(RUNNABLE) ## land a file that violates a contract, and say what to look at in the UI
	@$(SYSTEMS) break

demo-repair: $(RUNNABLE) ## delete the file that violates the contract
	@$(SYSTEMS) repair

weather: $(RUNNABLE) ## serve the demo's weather API until Ctrl-C, for dagster and dg without make dev
	@$(SYSTEMS) serve --port 8013

screenshots: $(INSTALLED) chromium ## take the screenshots in docs/images again
	@PYTHONPATH=tests $(BIN)/python -m sources.nyc_flights_demo.screenshots docs/images

clean-demo: ## delete the data of make demo and make dev
	@cd -- "$(FLOE_HOME)" 2>/dev/null || { echo "$(FLOE_HOME) does not exist: nothing to delete"; exit 0; }; \
	rm -rf -- catalog.db* warehouse dagster simulated_systems environment.sh; \
	echo "Deleted the demo's data in $(FLOE_HOME)"
