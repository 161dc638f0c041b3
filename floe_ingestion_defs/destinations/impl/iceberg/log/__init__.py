"""The dataset's write-ahead log: its format, its rows, its growth."""
