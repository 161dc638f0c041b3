"""Locates the code of a source of type `python` and reads its docstrings.

The code is parsed and not imported, because users' code may be slow to import.
"""

import ast
import inspect
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from floe_ingestion_defs.dlt_plugin import IngestionSourceConfig

_DECORATORS = ("resource", "transformer")


def find_factory(source: IngestionSourceConfig) -> tuple[Path, str] | None:
    """Return the file of a source's code, and the name of the function that returns the source.

    Args:
        source: The source, as configured.

    Returns:
        File and function; None for a source of another type, or if there is no such file. The load
        reports a missing module, and how to fix it.
    """
    module, separator, function = str(source.source_config.get("factory", "")).partition(":")
    if source.source_type != "python" or not separator:
        return None
    # For a dotted name, find_spec would import the parent packages of the module.
    package, *inner = module.split(".")
    found = find_spec(package)
    folders = (found.submodule_search_locations or ()) if found else ()
    for folder in folders:
        path = Path(folder, *inner)
        for file in (path.with_suffix(".py"), path / "__init__.py"):
            if file.is_file():
                return file, function
    return None


def describe_resources(source: IngestionSourceConfig) -> dict[str, str]:
    """Return the first paragraph of the docstrings of a source's resources, by resource name.

    Args:
        source: The source, as configured; empty for a source of another type than `python`.
    """
    found = find_factory(source)
    if found is None:
        return {}
    try:
        tree = ast.parse(found[0].read_bytes())
    except (SyntaxError, ValueError):
        # The load also reports that the file cannot be read.
        return {}
    return {
        name: " ".join(inspect.cleandoc(docstring).partition("\n\n")[0].split())
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (docstring := ast.get_docstring(node))
        for name in _names(node)
    }


def _names(function: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[str]:
    """Yield the name of the resource that a decorated function defines, if it defines one."""
    for decorator in function.decorator_list:
        called = decorator.func if isinstance(decorator, ast.Call) else decorator
        if (ast.unparse(called).rpartition(".")[2]) not in _DECORATORS:
            continue
        keywords = decorator.keywords if isinstance(decorator, ast.Call) else []
        given = [each.value for each in keywords if each.arg == "name"]
        if not given:
            yield function.name
        elif isinstance(given[0], ast.Constant):
            yield str(given[0].value)
