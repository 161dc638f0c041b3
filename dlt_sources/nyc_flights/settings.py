"""Constants of the weather source."""

from dlt.common.schema.typing import TTableSchemaColumns

WEATHER_PATH = "weather"

# The largest page that the service accepts: fewest requests.
PAGE_SIZE = 5_000

# Before the first observation, which is of 2013-01-01T06:00:00Z.
FIRST_HOUR = "2013-01-01T00:00:00Z"

# `time_hour` is UTC; the local hour repeats when daylight saving time ends.
PRIMARY_KEY = ("origin", "time_hour")
COLUMNS: TTableSchemaColumns = {
    "origin": {"data_type": "text"},
    "time_hour": {"data_type": "timestamp"},
}
