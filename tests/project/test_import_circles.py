"""No module of the package imports, directly or through others, a module that imports it.

An import inside a function counts; one for types alone, under TYPE_CHECKING, does not.
"""

from collections.abc import Iterator

import grimp

PACKAGE = "floe_ingestion_defs"


def circles(graph: grimp.ImportGraph) -> Iterator[str]:
    """Yield each circle once: the strongly connected components of the imports."""
    importing = {
        module: graph.find_modules_directly_imported_by(module) for module in graph.modules
    }
    unseen = set(graph.modules)
    while unseen:
        module = min(unseen)
        reached = reachable(importing, module)
        circle = {other for other in reached if module in reachable(importing, other)}
        unseen -= circle | {module}
        if circle:
            yield " -> ".join((*sorted(circle), min(circle)))


def reachable(importing: dict[str, set[str]], start: str) -> set[str]:
    """Return the modules that are imported by a module and by what it imports."""
    reached: set[str] = set()
    waiting = [start]
    while waiting:
        new = importing[waiting.pop()] - reached
        reached |= new
        waiting.extend(new)
    return reached


def test_no_modules_import_each_other() -> None:
    graph = grimp.build_graph(PACKAGE, exclude_type_checking_imports=True, cache_dir=None)
    assert graph.modules
    assert list(circles(graph)) == []


def test_a_circle_is_found() -> None:
    """The check itself: two modules that import each other, and a third outside of the circle."""
    graph = grimp.ImportGraph()
    for importer, imported in (("a", "b"), ("b", "a"), ("c", "a")):
        graph.add_import(importer=importer, imported=imported)
    assert list(circles(graph)) == ["a -> b -> a"]
