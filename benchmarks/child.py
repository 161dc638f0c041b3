"""The process of a measurement: calls one function of a case and writes its result as JSON."""

from __future__ import annotations

import importlib
import json
import sys
from dataclasses import asdict, is_dataclass
from pathlib import Path


def main(target: str, arguments: str, answer: str) -> None:
    """Call `target`, which is `module:function`, with the JSON object `arguments`."""
    module, function = target.split(":")
    keywords = json.loads(arguments)
    for name in ("cache", "home"):
        if name in keywords:
            keywords[name] = Path(keywords[name])
    result = getattr(importlib.import_module(module), function)(**keywords)
    if is_dataclass(result) and not isinstance(result, type):
        result = asdict(result)
    Path(answer).write_text(json.dumps(result))


if __name__ == "__main__":
    main(*sys.argv[1:])
