import re
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pytest

LoadLocation = Callable[..., dg.Definitions]

DOCS = Path(__file__).parents[2] / "docs"
EXAMPLES = [
    pytest.param(text, id=f"{page.stem}-{number}")
    for page in sorted(DOCS.rglob("*.md"))
    for number, text in enumerate(
        re.findall(r"^```yaml\n(type: .*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
    )
]


@pytest.mark.parametrize("text", EXAMPLES)
def test_every_whole_file_in_the_docs_loads(load_location: LoadLocation, text: str) -> None:
    """An example that a user copies works."""
    assert load_location(example=text).get_repository_def().asset_graph.get_all_asset_keys()


def test_the_docs_have_examples() -> None:
    """The test above must not pass because the documentation has no examples."""
    assert len(EXAMPLES) >= 4
