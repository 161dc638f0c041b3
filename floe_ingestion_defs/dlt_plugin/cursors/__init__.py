"""Cursors: dlt's `incremental`, and the values that it stores."""
