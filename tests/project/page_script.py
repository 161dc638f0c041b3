"""Running the Python of a page, in a child process of the tests."""


def run_page(script: str) -> None:
    """Run a script as `python -c` does: nothing is defined before."""
    exec(compile(script, "<page>", "exec"), {"__name__": "__main__"})
