"""A source as people write them, for the tests of sources of type `python`."""

from collections.abc import Iterator
from typing import Any

import dlt


@dlt.source
def orders(count: int = 3, secret: str = "") -> Any:
    @dlt.resource(write_disposition="merge", primary_key="id")
    def order(
        updated: Any = dlt.sources.incremental("id", initial_value=0),  # noqa: B008
    ) -> Iterator[dict[str, Any]]:
        if secret:
            msg = f"rejected with {secret}"
            raise RuntimeError(msg)
        yield from ({"id": number, "name": f"n{number}"} for number in range(1, count + 1))

    @dlt.resource
    def customer() -> Iterator[dict[str, Any]]:
        yield {"name": "Ada"}

    return order, customer


def no_source() -> int:
    return 5
