"""The namespaces of a catalog, nested ones included: catalogs list one level at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pyiceberg.catalog import Catalog
    from pyiceberg.typedef import Identifier


def list_all_namespaces(
    catalog: Catalog,
    parent: Identifier = (),
    on_error: Callable[[Identifier, Exception], None] | None = None,
) -> Iterator[Identifier]:
    """Yield the namespaces below another, each before those below it.

    Args:
        catalog: The catalog.
        parent: The namespace above them, by default none.
        on_error: Called where the namespaces below one cannot be listed, with it and the error; by
            default, the error is raised.
    """
    from pyiceberg.exceptions import BadRequestError, NoSuchNamespaceError

    try:
        below = catalog.list_namespaces(parent)
    except NoSuchNamespaceError:
        return
    except Exception as error:
        # A boundary: catalogs raise any exception of their drivers.
        if parent and isinstance(error, BadRequestError | NotImplementedError):
            return  # A catalog without nested namespaces may call the request bad.
        if on_error is None:
            raise
        on_error(parent, error)
        return
    for namespace in below:
        if len(namespace) > len(parent):
            yield namespace
            yield from list_all_namespaces(catalog, namespace, on_error)
