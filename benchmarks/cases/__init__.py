"""The cases: each module has a list `CASES`, which `benchmarks.case` finds."""
