"""Every source in the documentation's YAML is one that the plugin takes."""

import re
from pathlib import Path

import pytest
import yaml

from floe_ingestion_defs.dlt_plugin import DltIngestionPlugin

DOCS = Path(__file__).parents[2] / "docs"
YAML_BLOCK = re.compile(r"^```yaml\n(.*?)^```", re.MULTILINE | re.DOTALL)
EXAMPLES = [
    pytest.param(text, id=f"{page.stem}-{number}")
    for page in sorted(DOCS.glob("*.md"))
    for number, text in enumerate(YAML_BLOCK.findall(page.read_text()))
    if text.startswith("sources:")
]


@pytest.mark.parametrize("text", EXAMPLES)
def test_an_example_is_a_valid_configuration(text: str) -> None:
    plugin = DltIngestionPlugin(yaml.safe_load(text))
    for source in plugin.config.sources:
        assert plugin.list_resources(source)


def test_every_source_type_has_a_page() -> None:
    for source_type in DltIngestionPlugin().capabilities.source_types:
        assert (DOCS / f"source-{source_type.replace('_', '-')}.md").exists()
