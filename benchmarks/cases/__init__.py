"""The cases: every module here has a list `CASES`, which `benchmarks.case` finds."""
