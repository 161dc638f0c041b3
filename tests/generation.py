"""How the tests that draw their cases let Hypothesis generate them."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, Phase, settings


def without_shrinking(examples: int, **more: Any) -> settings:
    """Return the settings for examples that take long.

    To shrink one takes longer than to read it, and a printed seed repeats it.
    """
    return settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
        **more,
    )
