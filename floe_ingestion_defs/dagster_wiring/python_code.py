"""What the code of a source of type `python` says of itself.

It is read and not imported, for what people write may be slow to import.
"""

import ast
import inspect
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from floe_ingestion_defs.dlt_plugin import IngestionSourceConfig

_DECORATORS = ("resource", "transformer")


def find_factory(source: IngestionSourceConfig) -> tuple[Path, str] | None:
    """Find the file that a source is written in, and the name of the function that makes it.

    Args:
        source: The source, as configured.

    Returns:
        None for a source of another type, or where there is no such file; that the module is
        absent is for the load to say, with what to do about it.
    """
    module, separator, function = str(source.source_config.get("factory", "")).partition(":")
    if source.source_type != "python" or not separator:
        return None
    # Of a whole dotted name, find_spec would import the packages around the module.
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
    """Return what docstrings say of a source's resources: the first paragraph, by name.

    Args:
        source: The source, as configured; of another type than `python` there is none.
    """
    found = find_factory(source)
    if found is None:
        return {}
    try:
        tree = ast.parse(found[0].read_bytes())
    except (SyntaxError, ValueError):
        # That the file cannot be read is for the load to say, too.
        return {}
    return {
        name: " ".join(inspect.cleandoc(docstring).partition("\n\n")[0].split())
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (docstring := ast.get_docstring(node))
        for name in _names(node)
    }


def _names(function: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[str]:
    """Yield the name of the resource that a decorated function is; none of any other function."""
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
