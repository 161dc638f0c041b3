from datetime import date
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError

from floe_ingestion_defs.contracts import CompiledArtifacts, PluginRef, ResolvedPlugins

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@settings(max_examples=50, deadline=None)
@given(st.dictionaries(st.text(), JSON))
def test_artifacts_round_trip_through_json(config: Any) -> None:
    """What comes back from the file equals what went in, whatever JSON the configuration is."""
    ref = PluginRef(type="dlt", version="0.1.0", config=config)
    artifacts = CompiledArtifacts(plugins=ResolvedPlugins(ingestion=ref))
    assert CompiledArtifacts.model_validate_json(artifacts.model_dump_json()) == artifacts


@pytest.mark.parametrize(
    ("document", "plugins"),
    [
        ("{}", None),
        ('{"plugins": null}', None),
        ('{"plugins": {}}', ResolvedPlugins()),
        ('{"plugins": {"ingestion": null}}', ResolvedPlugins(ingestion=None)),
    ],
)
def test_a_platform_without_an_ingestion_plugin_is_valid(document: Any, plugins: Any) -> None:
    """Such a location loads, empty, without an error."""
    artifacts = CompiledArtifacts.model_validate_json(document)
    assert artifacts.plugins == plugins
    assert CompiledArtifacts.model_validate_json(artifacts.model_dump_json()) == artifacts


@pytest.mark.parametrize(
    ("document", "place"),
    [
        ('{"plugin": {}}', "plugin"),
        ('{"plugins": {"ingestoin": {"type": "dlt", "version": "1"}}}', "plugins.ingestoin"),
        (
            '{"plugins": {"ingestion": {"type": "dlt", "version": "1", "confg": {"a": 1}}}}',
            "plugins.ingestion.confg",
        ),
        ('{"plugins": {"ingestion": {"type": "dlt"}}}', "plugins.ingestion.version"),
        ('{"plugins": {"ingestion": {"type": "", "version": "1"}}}', "plugins.ingestion.type"),
    ],
)
def test_a_misspelled_or_missing_key_is_rejected(document: Any, place: Any) -> None:
    """A misspelled key must not leave out a plugin silently."""
    with pytest.raises(ValidationError) as rejected:
        CompiledArtifacts.model_validate_json(document)
    assert [".".join(map(str, error["loc"])) for error in rejected.value.errors()] == [place]


@pytest.mark.parametrize("version", ["2.0", "0.1", "latest"])
def test_artifacts_for_another_major_version_are_rejected(version: str) -> None:
    """The same names may have another meaning there; the error names the supported version."""
    with pytest.raises(ValidationError, match=rf"{version}.*'1\.0'"):
        CompiledArtifacts(floe_api_version=version)


@pytest.mark.parametrize("value", [date(2013, 1, 1), SecretStr("hunter2"), object(), {1, 2}])
def test_a_configuration_holds_only_what_json_can(value: Any) -> None:
    """A date or a SecretStr would be read back as something else, so it is rejected."""
    with pytest.raises(ValidationError, match="valid JSON"):
        PluginRef(type="dlt", version="0.1.0", config={"initial_value": value})


def test_no_string_form_of_a_reference_shows_its_configuration() -> None:
    """Its values may be secret, and `repr`, `str` and pydantic's own errors end in logs."""
    ref = PluginRef(type="dlt", version="0.1.0", config={"credentials": {"password": "hunter2"}})
    artifacts = CompiledArtifacts(plugins=ResolvedPlugins(ingestion=ref))
    for text in (repr(ref), str(ref), f"{ref}", repr(artifacts), str(artifacts)):
        assert "hunter2" not in text
        assert "dlt" in text
    with pytest.raises(ValidationError) as rejected:
        PluginRef.model_validate({"type": "dlt", "config": "hunter2", "password": "hunter2"})
    assert "hunter2" not in str(rejected.value)
