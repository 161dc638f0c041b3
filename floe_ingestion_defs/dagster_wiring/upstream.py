"""The external assets upstream of ingestion assets: tables, endpoints and folders of a source."""

from collections.abc import Iterable, Sequence

import dagster as dg
from pydantic import SecretStr

from floe_ingestion_defs.dagster_wiring.configured_source import SOURCE_TAG, ConfiguredSource
from floe_ingestion_defs.dlt_plugin import IngestionSourceConfig

# Names of Dagster's icons, where they differ from those of SQLAlchemy and fsspec.
_KINDS = {
    "postgresql": "postgres",
    "mssql": "sqlserver",
    "gs": "gcs",
    "abfss": "azure",
    "abfs": "azure",
    "az": "azure",
    "adl": "azure",
}
_NOUNS = {
    "sql_database": "Table",
    "rest_api": "Endpoint",
    "filesystem": "Folder",
    "python": "Data",
}


def upstream_key(configured: ConfiguredSource, resource_name: str) -> dg.AssetKey | None:
    """Return the key of the external asset that a resource is loaded from; None if disabled."""
    upstream = configured.settings.for_resource(resource_name).upstream
    if isinstance(upstream, str):
        return dg.AssetKey.from_user_string(upstream)
    return dg.AssetKey(f"source__{configured.name}__{resource_name}") if upstream else None


def create_upstream_specs(
    configured: ConfiguredSource, specs: Iterable[dg.AssetSpec]
) -> list[dg.AssetSpec]:
    """Create the specs of the external assets upstream of the assets of one source.

    Resources with the same `upstream` share one; keys that a translator removed from the `deps` of
    the assets, or that `deps` configures as another asset, are left out.

    Args:
        configured: The source.
        specs: The specs of its ingestion assets.
    """
    specs = list(specs)
    used = {dep.asset_key for spec in specs for dep in spec.deps}
    groups = {dep.asset_key: spec.group_name for spec in specs for dep in spec.deps}
    resources: dict[dg.AssetKey, list[str]] = {}
    for name in configured.resources:
        key = upstream_key(configured, name)
        if key in used:
            resources.setdefault(key, []).append(name)
    return [
        dg.AssetSpec(
            key=key,
            description=_describe(configured.source, names),
            group_name=groups[key],
            tags={SOURCE_TAG: configured.name},
            kinds={kind_of(configured.source)},
        )
        for key, names in resources.items()
    ]


def kind_of(source: IngestionSourceConfig) -> str:
    """Return the kind of a source system, from its unresolved configuration alone.

    A URL in an environment variable is unknown until a run starts; the kind is generic then.
    """
    options = source.source_config
    match source.source_type:
        case "sql_database":
            kind = _dialect(source.credentials or options.get("credentials")) or "sql"
        case "filesystem":
            kind = _scheme(str(options.get("bucket_url", ""))) or "file"
        case "rest_api":
            kind = "rest"
        case _:
            kind = source.source_type
    return _KINDS.get(kind, kind)


def _dialect(credentials: object) -> str | None:
    """Return the dialect of a SQLAlchemy URL or its parts; nothing else of them is returned."""
    if isinstance(credentials, dict):
        credentials = credentials.get("drivername")
        suffix = "://"
    else:
        suffix = ""
    text = credentials.get_secret_value() if isinstance(credentials, SecretStr) else credentials
    driver = _scheme(f"{text}{suffix}")
    return driver.partition("+")[0] if driver else None


def _scheme(url: str) -> str | None:
    scheme, separator, _ = url.partition("://")
    plain = scheme.replace("+", "").replace("_", "").isalnum() and scheme.isascii()
    return scheme.lower() if separator and plain else None


def _describe(source: IngestionSourceConfig, names: Sequence[str]) -> str:
    noun = _NOUNS[source.source_type]
    if source.source_type == "filesystem":
        return f"Folder that source `{source.name}` loads files from."
    listed = ", ".join(f"`{name}`" for name in names)
    plural = "s" if len(names) > 1 and noun != "Data" else ""
    return f"{noun}{plural} {listed} of the system that source `{source.name}` loads from."
