"""The version of the contract, and its one rule: equal major versions are compatible."""

FLOE_API_VERSION = "1.0"


def is_compatible(version: str) -> bool:
    """Return whether something written for contract `version` (`MAJOR.MINOR`) works with this one.

    A malformed version is compatible with nothing.
    """
    major, _, minor = version.partition(".")
    return minor.isdecimal() and major == FLOE_API_VERSION.partition(".")[0]
