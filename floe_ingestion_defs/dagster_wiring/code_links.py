"""Code references that open in a browser, for deployments that know their repository."""

from pathlib import Path

import dagster as dg

from floe_ingestion_defs.dagster_wiring.beta_warnings import allow_beta
from floe_ingestion_defs.dagster_wiring.configured_source import CodeReference
from floe_ingestion_defs.dagster_wiring.deployment import Deployment, read_deployment
from floe_ingestion_defs.dagster_wiring.python_code import find_factory
from floe_ingestion_defs.dlt_plugin import IngestionSourceConfig

_METADATA_KEY = "dagster/code_references"


@allow_beta(
    "Definitions.map_asset_specs",
    "Definitions.map_resolved_asset_specs",
    "CodeReferencesMetadataValue",
    "UrlCodeReference",
)
def link_code_to_git(
    definitions: dg.Definitions, root: Path, deployment: Deployment | None = None
) -> dg.Definitions:
    """Link the assets' code references to the repository, if the deployment names one.

    In local development they remain local files, which the UI opens in an editor.

    Args:
        definitions: The definitions of the location.
        root: Root directory of the repository.
        deployment: Deployment to link for; that of the process by default.
    """
    tree = _tree_url(deployment or read_deployment())
    if tree is None:
        return definitions

    def link(spec: dg.AssetSpec) -> dg.AssetSpec:
        references = spec.metadata.get(_METADATA_KEY)
        if not isinstance(references, dg.CodeReferencesMetadataValue):
            return spec
        linked = [_link(reference, tree, root) for reference in references.code_references]
        return spec.merge_attributes(
            metadata={_METADATA_KEY: dg.CodeReferencesMetadataValue(code_references=linked)}
        )

    return definitions.map_asset_specs(func=link)


@allow_beta("LocalFileCodeReference")
def reference_factory(source: IngestionSourceConfig) -> tuple[CodeReference, ...]:
    """Return a reference to the Python file of a source of type `python`; none for other types.

    The file is located and not imported: users' code may be slow to import.

    Args:
        source: The source, as configured.
    """
    found = find_factory(source)
    if found is None:
        return ()
    file, function = found
    return (dg.LocalFileCodeReference(file_path=str(file), label=function),)


def _tree_url(deployment: Deployment) -> str | None:
    """Return the URL of the repository's files at the deployed revision, for known hosts."""
    url, revision = deployment.git_url, deployment.git_revision
    if url is None or revision is None:
        return None
    if "gitlab" in url:
        return f"{url}/-/tree/{revision}"
    if "github" in url:
        return f"{url}/tree/{revision}"
    return None


def _link(reference: CodeReference, tree: str, root: Path) -> CodeReference:
    if not isinstance(reference, dg.LocalFileCodeReference):
        return reference
    path = Path(reference.file_path).resolve()
    if not path.is_relative_to(root.resolve()):
        # Installed code, which is in another repository.
        return reference
    line = f"#L{reference.line_number}" if reference.line_number else ""
    return dg.UrlCodeReference(
        url=f"{tree}/{path.relative_to(root.resolve()).as_posix()}{line}", label=reference.label
    )
