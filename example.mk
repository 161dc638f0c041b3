# The worked example's targets. CONTRIBUTING.md describes how to remove the example.

# `make dev` also starts the source systems that the example loads from.
DEV := $(BIN)/python -m dlt_sources.nyc_flights_demo.dev

.PHONY: demo screenshots clean-demo

demo: $(INSTALLED) ## load New York's flights of 2013 into Iceberg, three runs, no server required
	@$(BIN)/python -m dlt_sources.nyc_flights_demo

screenshots: $(INSTALLED) chromium ## take the screenshots in docs/images again
	@PYTHONPATH=tests $(BIN)/python -m sources.nyc_flights_demo.screenshots docs/images

clean-demo: ## delete the data of make demo and make dev
	@cd -- "$(FLOE_HOME)" 2>/dev/null || { echo "$(FLOE_HOME) does not exist: nothing to delete"; exit 0; }; \
	rm -rf -- catalog.db* warehouse dagster simulated_systems; \
	echo "Deleted the demo's data in $(FLOE_HOME)"
