"""Orders with five lines each, as pages of JSON, created once in the cache."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

ORDERS = 200_000
LINES = 5
PAGE_ROWS = 1_000
_START = datetime(2024, 1, 1, tzinfo=UTC)


def page_folder(cache: Path) -> Path:
    """Return a folder of pages: JSON arrays of `PAGE_ROWS` orders, in files 0.json, 1.json."""
    folder = cache / "nested-orders-json"
    if not folder.exists():
        partial = folder.with_name(f"{folder.name}-partial")
        partial.mkdir(parents=True, exist_ok=True)
        choose = random.Random(7)
        for number in range(ORDERS // PAGE_ROWS):
            first = number * PAGE_ROWS
            page = [_order(choose, first + row) for row in range(PAGE_ROWS)]
            (partial / f"{number}.json").write_text(json.dumps(page))
        partial.rename(folder)
    return folder


def _order(choose: random.Random, number: int) -> dict[str, Any]:
    return {
        "id": number,
        "placed_at": (_START + timedelta(seconds=number)).isoformat(),
        "customer": {"id": choose.randrange(50_000), "country": choose.choice(["DE", "FR", "PL"])},
        "lines": [
            {
                "sku": f"SKU-{choose.randrange(10_000):05d}",
                "quantity": choose.randrange(1, 9),
                "price": choose.randrange(100, 90_000) / 100,
            }
            for _ in range(LINES)
        ],
    }
