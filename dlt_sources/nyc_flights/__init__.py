"""The worked example's outside world: the flights of New York City in 2013.

Three systems that are not ours, played with real data: somebody drops a file of flights every
month, somebody else keeps airlines, airports and planes in a database, and a weather service
answers over HTTP. `floe_ingestion_defs/defs/nyc_flights/defs.yaml` loads from all three.
"""

from dlt_sources.nyc_flights.world import OutsideWorld

__all__ = ["OutsideWorld"]
