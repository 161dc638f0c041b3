"""The documentation's YAML is what the plugin takes, and no setting is left out of the pages."""

import re
from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel

from floe_ingestion_defs.dlt_plugin import (
    DltIngestionPlugin,
    IngestionSourceConfig,
    RetryConfig,
    has_patterns,
)
from floe_ingestion_defs.dlt_plugin.config.source_options import OPTIONS_MODELS

DOCS = Path(__file__).parents[3] / "docs"
YAML_BLOCK = re.compile(r"^```yaml\n(.*?)^```", re.MULTILINE | re.DOTALL)
EXAMPLES = [
    pytest.param(text, id=f"{page.stem}-{number}")
    for page in sorted(DOCS.rglob("*.md"))
    for number, text in enumerate(YAML_BLOCK.findall(page.read_text()))
    if text.startswith("sources:")
]


@pytest.mark.parametrize("text", EXAMPLES)
def test_an_example_is_a_valid_configuration(text: str) -> None:
    plugin = DltIngestionPlugin(yaml.safe_load(text))
    for source in plugin.config.sources:
        assert has_patterns(source) or plugin.list_resources(source)


@pytest.mark.parametrize(
    ("page", "model"),
    [
        ("reference", IngestionSourceConfig),
        ("reference", RetryConfig),
        *((name.replace("_", "-"), model) for name, model in OPTIONS_MODELS.items()),
    ],
)
def test_every_setting_is_on_its_page(page: str, model: type[BaseModel]) -> None:
    text = (DOCS / "sources" / f"{page}.md").read_text()
    names = {field.alias or name for name, field in model.model_fields.items()}
    assert not {name for name in names if not re.search(rf"\b{name}\b[`:]", text)}


def test_every_source_type_has_a_page() -> None:
    for source_type in DltIngestionPlugin().capabilities.source_types:
        assert (DOCS / "sources" / f"{source_type.replace('_', '-')}.md").exists()
