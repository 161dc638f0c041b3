"""What a dlt load package means for each table, read from dlt's schema and its hints."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

from dlt.common.destination.utils import resolve_merge_strategy
from dlt.common.schema.typing import C_DLT_ID, C_DLT_LOAD_ID
from dlt.common.schema.utils import (
    get_active_record_timestamp,
    get_columns_names_with_prop,
    get_dedup_sort_tuple,
    get_first_column_name_with_prop,
    get_nested_tables,
    get_root_table,
    get_validity_column_names,
    has_table_seen_data,
)

from floe_ingestion_defs.destinations.impl.iceberg.changes.condition import (
    RELATION,
    ConditionError,
    columns_of,
)
from floe_ingestion_defs.destinations.impl.iceberg.changes.merge_mode import (
    MERGE_MODE_PROPERTY,
    require_merge_mode,
)
from floe_ingestion_defs.destinations.impl.iceberg.errors import InvalidHint
from floe_ingestion_defs.destinations.impl.iceberg.files.layout import layout_of
from floe_ingestion_defs.destinations.impl.iceberg.intent import (
    Disposition,
    Keys,
    Layout,
    Nesting,
    Scope,
    TableIntent,
    Validity,
    Window,
)
from floe_ingestion_defs.destinations.impl.iceberg.window import NO_WINDOW_HINT

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    from dlt.common.schema.typing import TColumnSchema, TTableSchema
    from pyiceberg.schema import Schema

    from floe_ingestion_defs.destinations.impl.iceberg.package import Package

_DLT_COLUMNS = (C_DLT_ID, C_DLT_LOAD_ID)
# As in dlt's SQL destinations, the others ignore a scope.
_SCOPED = ("delete-insert", "scd2", "cdc")


@dataclass(frozen=True)
class TablePlan:
    """What a load does to one table, before its rows are staged.

    Attributes:
        intent: The intent, without what staging determines.
        columns: dlt's columns that have a type.
        jobs: The local Parquet files with the rows.
        resource: The dlt resource that the rows come from.
        is_nested: Whether the rows are nested in those of another table.
    """

    intent: TableIntent
    columns: Mapping[str, TColumnSchema] = field(default_factory=dict)
    jobs: tuple[Path, ...] = ()
    resource: str | None = None
    is_nested: bool = False

    @property
    def table(self) -> str:
        """The table's name."""
        return self.intent.table


# What dlt's own tables are called where a catalog accepts no leading underscore. dlt rejects
# resources whose tables have the names with it.
_RESERVED = frozenset({"dlt_loads", "dlt_version", "dlt_pipeline_state"})


def _require_free_names(package: Package) -> None:
    """Check that no table of a source has the name of a table that dlt's bookkeeping is kept in.

    Raises:
        InvalidHint: One has.
    """
    taken = sorted(package.jobs.keys() & _RESERVED)
    if taken:
        names = ", ".join(f"`{name}`" for name in taken)
        msg = (
            f"A resource loads into {names}: these names are reserved for the tables in which "
            "loads, schemas and pipeline states are recorded. Give it another `table_name`."
        )
        raise InvalidHint(msg)


def plan_load(package: Package) -> list[TablePlan]:
    """Return the plans of all tables that the package changes, with or without rows for them."""
    _require_free_names(package)
    tables = package.schema.tables
    # A root that loses rows includes its nested tables, also those without rows.
    touched = {*package.jobs, *_tables_with_windows(package)}
    # As in dlt's SQL destinations: a table that is truncated gets its new columns, too.
    touched.update((package.truncated - package.dropped) & tables.keys())
    for name in sorted(touched):
        root = _root_name(package, name)
        if _disposition(package, package.prepare_table(root)) != "append":
            chain = get_nested_tables(tables, root)
            touched.update(_name(table) for table in chain if has_table_seen_data(table))
    plans = [_plan_table(package, name) for name in sorted(touched)]
    for name in sorted((package.dropped | package.truncated) - touched):
        intent = TableIntent(
            table=name, disposition="append", truncate=True, drop=name in package.dropped
        )
        plans.append(TablePlan(intent))
    return plans


def follow_rollbacks(
    package: Package, plans: Sequence[TablePlan], rolled_back: Collection[str]
) -> list[TablePlan]:
    """Return the plans, in which rows of roots that a rollback removed leave the nested tables.

    A merge removes them in any case; an append, only if the root was rolled back.

    Args:
        package: The package.
        plans: The plans of its tables.
        rolled_back: The tables that were rolled back.
    """
    found = {plan.table: plan for plan in plans}
    for plan in plans:
        if plan.table not in rolled_back or plan.is_nested or plan.intent.starts_empty:
            continue
        if plan.intent.disposition != "append":
            continue
        for table in get_nested_tables(package.schema.tables, plan.table):
            name = _name(table)
            if name == plan.table or not has_table_seen_data(table):
                continue
            nested = found.get(name) or _plan_table(package, name)
            intent = nested.intent.model_copy(
                update={"disposition": "merge", "nesting": _below_parent(table, nested.intent)}
            )
            found[name] = replace(nested, intent=intent)
    return list(found.values())


def _below_parent(table: TTableSchema, intent: TableIntent) -> Nesting | None:
    """Return the place of a nested table, with the table above where its rows lead to that only."""
    if intent.nesting is None or intent.nesting.depth == 1:
        return intent.nesting
    parent_key = get_first_column_name_with_prop(table, "parent_key")
    return intent.nesting.model_copy(
        update={"parent": table.get("parent"), "parent_key": parent_key}
    )


def _tables_with_windows(package: Package) -> list[str]:
    """Return the root tables of resources with a window, those without rows included.

    A resource that names a table for each row may have no row for one of them in this load.
    """
    normalize = package.schema.naming.normalize_identifier
    return [
        _name(table)
        for table in package.schema.tables.values()
        if (window := _window_of(package, table))
        and has_table_seen_data(table)
        and normalize(window.column) in table["columns"]
    ]


def _window_of(package: Package, root: TTableSchema) -> Window | None:
    hints: dict[str, Any] = dict(root)
    if hints.get(NO_WINDOW_HINT):
        return None
    return package.windows.get(str(hints.get("resource")))


def _plan_table(package: Package, name: str) -> TablePlan:
    table = package.prepare_table(name)
    chain_root = _root_name(package, name)
    root = package.prepare_table(chain_root)
    columns = {n: c for n, c in table["columns"].items() if c.get("data_type")}
    disposition = _disposition(package, root)
    strategy = resolve_merge_strategy(package.schema.tables, root, package.capabilities)
    root_keys = _keys(root, _scope(root, strategy) if disposition == "merge" else None)
    if disposition == "merge" and strategy == "delete-insert" and root_keys == Keys():
        # As in dlt's SQL destinations: a merge without keys has nothing to delete.
        disposition, strategy = "append", None
    nested = name != chain_root
    compared = _compared(package, table, root, strategy) if disposition == "merge" else ()
    intent = TableIntent(
        table=name,
        disposition=disposition,
        layout=_layout(package, table, root, disposition),
        strategy=strategy,
        keys=(
            Keys(compared=compared)
            if nested or disposition != "merge"
            else root_keys.model_copy(update={"compared": compared})
        ),
        nesting=_nesting(package, table, root, disposition) if nested else None,
        validity=_validity(package, root) if strategy == "scd2" and not nested else None,
        window=_window(package, table, columns) if disposition == "overwrite" else None,
        truncate=name in package.truncated and disposition != "replace",
        drop=name in package.dropped,
    )
    jobs = tuple(package.jobs.get(name, ()))
    return TablePlan(intent, columns, jobs, root.get("resource"), nested)


def _layout(
    package: Package, table: TTableSchema, root: TTableSchema, disposition: Disposition
) -> Layout:
    """Return a table's layout; a nested table has the merge mode of its root."""
    naming = package.schema.naming
    layout = layout_of(table, naming)
    mode = package.merge_mode
    for hints in (layout_of(root, naming), layout):
        mode = hints.properties.get(MERGE_MODE_PROPERTY, mode)
    if mode is None or disposition not in ("merge", "overwrite"):
        return layout
    require_merge_mode(_name(table), mode)
    properties = {**layout.properties, MERGE_MODE_PROPERTY: mode}
    return layout.model_copy(update={"properties": properties})


def _scope(root: TTableSchema, strategy: str | None) -> Scope | None:
    """Return the rows that the merge can delete or retire, by dlt's hint `destination_scope`."""
    condition = cast("dict[str, Any]", root).get("x-merge-destination-scope")
    if not condition or strategy not in _SCOPED:
        return None
    columns = tuple(name for name, c in root["columns"].items() if c.get("data_type"))
    try:
        condition = condition.format(table=RELATION)
        return Scope(condition=condition, columns=columns_of(condition, columns))
    except KeyError:
        reason = "its only placeholder here is `{table}`"
    except ConditionError as invalid:
        reason = str(invalid)
    msg = f"`destination_scope` of table `{root['name']}` is not valid: {reason}"
    raise InvalidHint(msg)


def _compared(
    package: Package, table: TTableSchema, root: TTableSchema, strategy: str | None
) -> tuple[str, ...]:
    """Return the columns by which rows are compared, by dlt's hint `skip_unchanged_rows`."""
    if not cast("dict[str, Any]", root).get("x-merge-skip-unchanged-rows"):
        return ()
    if strategy not in ("upsert", "cdc"):
        return ()
    from dlt.common.destination.utils import get_merge_compare_columns

    names = [n for n in get_merge_compare_columns(table) if table["columns"][n].get("data_type")]
    if names and len(get_nested_tables(package.schema.tables, _name(table))) > 1:
        # A row that another strategy loaded has another row key, and the incoming nested rows refer
        # to the incoming one.
        names += get_columns_names_with_prop(table, "row_key")
    return tuple(names)


def _name(table: TTableSchema) -> str:
    return cast("str", table["name"])


def _root_name(package: Package, table: str) -> str:
    return _name(get_root_table(package.schema.tables, table))


def _keys(table: TTableSchema, scope: Scope | None) -> Keys:
    return Keys(
        primary_key=tuple(get_columns_names_with_prop(table, "primary_key")),
        merge_key=tuple(get_columns_names_with_prop(table, "merge_key")),
        hard_delete=get_first_column_name_with_prop(table, "hard_delete"),
        dedup_sort=get_dedup_sort_tuple(table),
        scope=scope,
    )


def reject_nested_keys(table: str, keys: Keys, schema: Schema) -> None:
    """Reject keys that are lists or structs, which cannot be compared.

    Raises:
        InvalidHint: A key, or the column that decides between rows with the same key, is
            nested.
    """
    sort = keys.dedup_sort[:1] if keys.dedup_sort else ()
    deciding = {*keys.primary_key, *keys.merge_key, *sort}
    for column in schema.fields:
        if column.name in deciding and not column.field_type.is_primitive:
            msg = (
                f"Column `{column.name}` of table `{table}` is `{column.field_type}`, by which a "
                "merge cannot compare rows. Choose a column that is neither a list nor a struct."
            )
            raise InvalidHint(msg)


def _nesting(
    package: Package, table: TTableSchema, root: TTableSchema, disposition: Disposition
) -> Nesting:
    depth, above = 0, table
    while above.get("parent"):
        depth, above = depth + 1, package.prepare_table(cast("str", above["parent"]))
    # One level down the parent is the root, and rows of every disposition have that key.
    leads_to_root = "parent_key" if depth == 1 else "root_key"
    root_key = get_first_column_name_with_prop(table, leads_to_root)
    root_row_key = get_first_column_name_with_prop(root, "row_key") or (
        get_first_column_name_with_prop(root, "unique")
    )
    row_key = get_first_column_name_with_prop(table, "row_key")
    row_version = get_first_column_name_with_prop(root, "x-row-version")
    if root_row_key is None and row_version is not None:
        # dlt computed the version itself, and the keys of its whole tree from it: where a version
        # exists already, its tree does too, so no column has to lead to the root.
        root_row_key = row_version
    elif root_key is None:
        root_row_key = None
    if disposition not in ("merge", "overwrite"):
        # The rows follow no row of the root, but the tables are published as one tree: the next
        # load of another pipeline may be a merge.
        root_row_key, row_key = root_row_key or "", row_key or ""
    if root_row_key is None or row_key is None:
        msg = (
            f"Nested table `{table['name']}` has no column that refers to the rows of its root "
            f"`{root['name']}`, so a merge cannot keep them together. Set `root_key=True` on the "
            "source."
        )
        raise InvalidHint(msg)
    return Nesting(
        root=_name(root),
        root_row_key=root_row_key,
        root_key=root_key,
        row_key=row_key,
        depth=depth,
    )


def _validity(package: Package, root: TTableSchema) -> Validity:
    valid_from, valid_to = get_validity_column_names(root)
    row_version = get_first_column_name_with_prop(root, "x-row-version")
    if valid_from is None or valid_to is None or row_version is None:
        msg = f"Table `{root['name']}` lacks the columns of merge strategy `scd2`."
        raise InvalidHint(msg)
    hints: dict[str, Any] = dict(root)
    boundary: datetime = hints.get("x-boundary-timestamp") or package.created_at
    if isinstance(boundary, str):
        boundary = datetime.fromisoformat(boundary)
    return Validity(
        row_version=row_version,
        valid_from=valid_from,
        valid_to=valid_to,
        boundary=boundary,
        active=get_active_record_timestamp(root),
    )


def _disposition(package: Package, root: TTableSchema) -> Disposition:
    disposition = cast("Disposition", root["write_disposition"])
    if _window_of(package, root) is None:
        return disposition
    if disposition != "append":
        msg = (
            f"Table `{root['name']}` has a window to overwrite and write disposition "
            f"`{disposition}`. A window requires `append`: the load replaces exactly the window's "
            "rows."
        )
        raise InvalidHint(msg)
    return "overwrite"


def _window(
    package: Package, table: TTableSchema, columns: Mapping[str, TColumnSchema]
) -> Window | None:
    """Return the window of a root table; its nested tables follow its rows."""
    if table.get("parent"):
        return None
    window = package.windows[cast("str", table["resource"])]
    column = package.schema.naming.normalize_path(window.column)
    if not columns.keys() - {package.schema.naming.normalize_identifier(c) for c in _DLT_COLUMNS}:
        return None  # No load has added a row yet, so there is none to replace.
    if column not in columns:
        msg = (
            f"Table `{table['name']}` has no column `{column}`, which its window refers to. Its "
            f"columns: {', '.join(columns)}."
        )
        raise InvalidHint(msg)
    return window.model_copy(update={"column": column})
