"""Simulated source systems of the worked example, with the real data of New York City in 2013.

Three systems: a landing folder that receives one CSV file of flights per month, a reference
database with airlines, airports and planes, and a weather service with a JSON API.
`floe_ingestion_defs/defs/nyc_flights/defs.yaml` loads from all three.
"""

from dlt_sources.nyc_flights_demo.simulated_systems.systems import SimulatedSystems

__all__ = ["SimulatedSystems"]
