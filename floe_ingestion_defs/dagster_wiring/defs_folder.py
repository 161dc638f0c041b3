"""Loads `defs/`: fast in the process of a run, and with every error of its files elsewhere.

Dagster's own loader imports all installed component packages and describes each of their types to
the UI, also in the processes of runs and steps, which takes longer than everything else in the
location.
"""

from pathlib import Path
from types import ModuleType

import dagster as dg
from dagster._core.definitions.definitions_load_context import (
    DefinitionsLoadContext,
    DefinitionsLoadType,
)
from dagster._utils.warnings import suppress_dagster_warnings
from dagster.components.core.component_tree import ComponentTreeException
from dagster_shared.error import DagsterError
from pydantic import ValidationError
from yaml import YAMLError

from floe_ingestion_defs.dlt_plugin.errors.exceptions import PipelineConfigurationError

# What Dagster raises for a file: an invalid component, an unknown type, an invalid structure.
_INVALID = (ComponentTreeException, DagsterError, ValidationError, YAMLError)
_FILES = ("defs.yaml", "defs.yml", "component.yaml")


def load_defs(package: Path) -> dg.Definitions:
    """Load the definitions below a project's `defs/`.

    Args:
        package: Folder of the project's package, which contains `defs/`.

    Raises:
        PipelineConfigurationError: Several files are not valid; names each file and what is wrong.
        ComponentTreeException: One file is not valid; its cause says why. Dagster raises a
            `DagsterError`, `ValidationError` or `YAMLError` for a file that it cannot read.
    """
    if DefinitionsLoadContext.get().load_type is DefinitionsLoadType.RECONSTRUCTION:
        return _load_for_run(package)
    try:
        return dg.load_from_defs_folder(path_within_project=package)
    except _INVALID as error:
        found = _find_broken_files(package)
        if len(found) < 2:
            raise
        msg = "\n".join([f"{len(found)} files of defs/ are not valid:", *found])
        raise PipelineConfigurationError(msg) from error


@suppress_dagster_warnings  # of Dagster itself, as in its loader
def _load_for_run(package: Path) -> dg.Definitions:
    """Load what Dagster's loader does, except the descriptions of the types of components."""
    tree = dg.ComponentTree.for_project(package)
    children = tree.find_root_decl().iterate_child_component_decls()
    return dg.Definitions.merge(*(tree.build_defs(child.loc) for child in children))


def _find_broken_files(package: Path) -> list[str]:
    """Return what is wrong with each file, loaded on its own."""
    folders = sorted({file.parent for name in _FILES for file in package.rglob(f"defs/**/{name}")})
    found: dict[str, None] = {}
    for folder in folders:
        try:
            _load_alone(package, folder)
        except _INVALID as error:
            cause = _root_cause(error)
            said = str(cause)
            shown = said if str(folder) in said else f"{folder}: {type(cause).__name__}: {said}"
            found[shown] = None
    return list(found)


@suppress_dagster_warnings  # of Dagster itself, as in its loader
def _load_alone(package: Path, folder: Path) -> None:
    """Load a folder as if it were the whole `defs/`: a file of an unknown type stops the others."""
    relative = folder.relative_to(package.parent)
    module = ModuleType(".".join(relative.parts))
    module.__path__ = [str(folder)]
    module.__file__ = str(folder / "__init__.py")
    tree = dg.ComponentTree.from_module(defs_module=module, project_root=package.parent)
    tree.build_defs()


def _root_cause(error: BaseException) -> BaseException:
    """Return the first error that is not one of Dagster's, which show the whole tree again."""
    while isinstance(error, ComponentTreeException) and error.__cause__ is not None:
        error = error.__cause__
    return error
