"""Locates the code of a source of type `python` and reads its docstrings.

The code is parsed and not imported, because users' code may be slow to import.
"""

import ast
import inspect
from collections.abc import Iterator
from difflib import get_close_matches
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import find_spec
from pathlib import Path

from floe_ingestion_defs.dlt_plugin import IngestionSourceConfig
from floe_ingestion_defs.dlt_plugin.errors.exceptions import PipelineConfigurationError

_DECORATORS = ("resource", "transformer")


def find_factory(source: IngestionSourceConfig) -> tuple[Path, str] | None:
    """Return the file of a source's code, and the name of the function that returns the source.

    Args:
        source: The source, as configured.

    Returns:
        File and function; None for a source of another type, or if the module is not a Python file.

    Raises:
        PipelineConfigurationError: There is no such module, or it does not define the function.
    """
    module, separator, function = str(source.source_config.get("factory", "")).partition(":")
    if source.source_type != "python" or not separator:
        return None
    found = _find_module(module)
    if found is None:
        msg = f"source {source.name!r}: source_config.factory: module {module} not found"
        raise PipelineConfigurationError(msg)
    file = Path(found.origin or "")
    if file.suffix != ".py" or not file.is_file():
        return None
    if not _may_define(file, function):
        msg = (
            f"source {source.name!r}: source_config.factory: module {module} has no function "
            f"{function!r}"
        )
        raise PipelineConfigurationError(msg)
    return file, function


def _find_module(name: str) -> ModuleSpec | None:
    """Return where a module is; unlike `find_spec`, without importing the packages above it."""
    top, *inner = name.split(".")
    found = find_spec(top)
    for depth in range(len(inner)):
        if found is None or found.submodule_search_locations is None:
            return None
        full_name = ".".join((top, *inner[: depth + 1]))
        found = PathFinder.find_spec(full_name, list(found.submodule_search_locations))
    return found


def _may_define(file: Path, name: str) -> bool:
    """Return whether a module has a name, as far as its text shows; the load has the last word."""
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError):
        return True
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names = [node.name]
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.asname or alias.name for alias in node.names]
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names = [node.id]
        else:
            continue
        # Names that an unknown module defines, or that are looked up, can be any.
        if name in names or "*" in names or "__getattr__" in names:
            return True
    return False


def check_code(source: IngestionSourceConfig) -> None:
    """Verify that a source's code has the function and the resources that its YAML names.

    Args:
        source: The source, as configured.

    Raises:
        PipelineConfigurationError: The module, the function or a resource does not exist. Resources
            that the text of the code does not show are left to the load.
    """
    found = find_factory(source)
    known = _returned_resources(*found) if found else None
    if known is None:
        return
    for name in source.source_config.get("resource_names", ()):
        if name not in known:
            nearest = get_close_matches(name, known, n=1)
            hint = f"; did you mean {nearest[0]!r}?" if nearest else ""
            msg = (
                f"source {source.name!r}: source_config.resource_names: resource {name!r} not "
                f"found in {source.source_config['factory']}; "
                f"available: {', '.join(sorted(known))}{hint}"
            )
            raise PipelineConfigurationError(msg)


def _returned_resources(file: Path, factory: str) -> set[str] | None:
    """Return the names of the resources that a factory returns; None if its text does not show it.

    They are shown if each `return` is of functions that are decorated in the same file.
    """
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError):
        return None
    outer = _functions(tree.body)
    function = outer.get(factory)
    if function is None:
        return None
    if itself := set(_names(function)):
        return itself
    inner = {**outer, **_functions(function.body)}
    own = list(_own_nodes(function))
    assigned = {n.id for n in own if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    returned = [each for n in own if isinstance(n, ast.Return) for each in _elements(n.value)]
    names: set[str] = set()
    for value in returned:
        called = value.func if isinstance(value, ast.Call) else value
        if not isinstance(called, ast.Name) or called.id in assigned or called.id not in inner:
            return None
        names |= (found := set(_names(inner[called.id])))
        if not found:
            return None
    generates = any(isinstance(node, ast.Yield | ast.YieldFrom) for node in own)
    return None if generates else names or None


def _functions(body: list[ast.stmt]) -> dict[str, ast.FunctionDef | ast.AsyncFunctionDef]:
    return {n.name: n for n in body if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)}


def _own_nodes(function: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes of a function, without those of the functions within it."""
    for node in ast.iter_child_nodes(function):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield node
            yield from _own_nodes(node)


def _elements(value: ast.expr | None) -> list[ast.expr | None]:
    return list(value.elts) if isinstance(value, ast.Tuple | ast.List) else [value]


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
