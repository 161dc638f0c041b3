"""A program: loads, drops and failures in sequence, and how hypothesis draws it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal, get_args

from dlt.common.schema.typing import MERGE_STRATEGIES
from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Iterable

Row = dict[str, Any]
Form = Literal["dict", "arrow", "pandas", "polars"]
Refresh = Literal["drop_sources", "drop_resources", "drop_data"]

NAMINGS = ["snake_case", "sql_cs_v1", "direct"]
DISPOSITIONS = ["append", "append", "replace", "merge", "merge", "merge"]
# dlt knows `cdc` since 1.31.
STRATEGIES = [*sorted({*MERGE_STRATEGIES} - {"scd2"}), "delete-insert", "scd2"]
# Of these, dlt makes the `_dlt_id` of a row from its primary key.
KEYED = [name for name in STRATEGIES if name in ("upsert", "insert-only", "cdc")]
_FILTERS = ["day >= 1", "id IN (1, 2, 3)", "seq < 2 OR day IS NULL"]
# What dlt 1.31 adds to a merge, and the values to draw.
OPTIONS: dict[str, list[Any]] = {
    "source_filter": _FILTERS,
    "destination_scope": [*_FILTERS, "{table}.id <> 3"],
    "deduplicated": [True],
    "skip_unchanged_rows": [True],
}
_ACCEPTED = {
    "delete-insert": ("source_filter", "destination_scope", "deduplicated"),
    "upsert": ("source_filter", "skip_unchanged_rows"),
    "cdc": ("source_filter", "destination_scope", "skip_unchanged_rows"),
    "scd2": ("source_filter", "destination_scope"),
}
# Each source has one resource with nested rows and one without.
SOURCES = {"shop": ["orders", "parts"], "crm": ["people"]}
EPOCH = datetime(2024, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Extract:
    """What one load extracts of one resource.

    Attributes:
        hints: The arguments of `dlt.resource`.
        cursor: The value that an incremental resource yields rows up to, None for no cursor.
    """

    resource: str
    rows: tuple[Row, ...]
    hints: Row
    form: Form = "dict"
    cursor: int | None = None


@dataclass(frozen=True)
class Load:
    """One run of a source.

    Attributes:
        refresh: dlt's mode.
        is_new_directory: Whether the working directory is a new one.
        fails: Whether the source raises an error after its rows.
    """

    source: str
    extracts: tuple[Extract, ...]
    refresh: Refresh | None = None
    is_new_directory: bool = True
    fails: bool = False


@dataclass(frozen=True)
class Drop:
    """`dlt pipeline … drop` of one resource."""

    source: str
    resource: str


@dataclass(frozen=True)
class Program:
    """A sequence of steps by one pipeline.

    Attributes:
        naming: The naming convention.
        root_key: Whether nested rows carry the key of their root row in every disposition.
        replace_strategy: The strategy of write disposition `replace`.
    """

    naming: str
    root_key: bool
    replace_strategy: str
    steps: tuple[Load | Drop, ...] = field(default=())


_SMALL = st.integers(0, 3)
_TEXT = st.sampled_from(["x", "y", "", "Zoë", "a'b\"c", "1"])
_EVOLVING: dict[str, st.SearchStrategy[Any]] = {
    "count": st.integers(-(2**40), 2**40),
    "UnitPrice": st.sampled_from([0.0, 1.5, -2.25, 1e300]),
    "note": _TEXT,
    "isOpen": st.booleans(),
    "placed_at": _SMALL.map(lambda n: EPOCH + timedelta(days=n, microseconds=n)),
    "due": _SMALL.map(lambda n: date(2024, 1, 1) + timedelta(days=n)),
    "amount": st.sampled_from([Decimal("1.25"), Decimal("-0.000000001"), Decimal("12345678.9")]),
    "raw": st.sampled_from([b"", b"\x00\xff", b"abc"]),
}
_NESTED: dict[str, st.SearchStrategy[Any]] = {
    "mixed": st.integers(0, 3) | _TEXT,
    "address": st.fixed_dictionaries({"city": _TEXT}, optional={"zip": st.integers(0, 9)}),
    "tags": st.lists(_SMALL, max_size=2),
    "items": st.lists(
        st.fixed_dictionaries(
            {"p": _SMALL}, optional={"q": _TEXT, "subs": st.lists(_SMALL, max_size=2)}
        ),
        max_size=3,
    ),
}


@st.composite
def rows(draw: st.DrawFn, *, nested: bool, count: int = 4) -> list[Row]:
    """Draw rows, with some of the columns that come and go."""
    pool = {**_EVOLVING, **(_NESTED if nested else {})}
    names = draw(st.lists(st.sampled_from(sorted(pool)), max_size=4, unique=True))
    made = []
    for n in range(draw(st.integers(0 if not names else 1, count))):
        row: Row = {"id": draw(st.integers(0, 6)), "day": draw(_SMALL), "seq": n}
        row.update({name: draw(pool[name]) for name in names})
        if names and draw(st.integers(0, 4)) == 0:
            row[names[0]] = None
        made.append(row)
    return made


@st.composite
def extracts(draw: st.DrawFn, resource: str, *, keyed: bool) -> Extract:
    """Draw what a load extracts of a resource, by one of `KEYED` and by `id` where `keyed`."""
    is_flat = resource == "parts"
    # In `duckdb`, a column that rows of another form lack cannot be added to a table with rows.
    form: Form = draw(st.sampled_from(["arrow", "pandas", "polars"])) if is_flat else "dict"
    drawn = draw(rows(nested=not is_flat))
    if keyed:
        return _merge(draw, resource, drawn, form, draw(st.sampled_from(KEYED)), ["id"])
    disposition = draw(st.sampled_from(DISPOSITIONS))
    if disposition == "append" and not is_flat and draw(st.booleans()):
        last = draw(st.integers(1, 6))
        drawn = [{"id": n, "day": n % 4, "seq": n} for n in range(last + 1)]
        return Extract(resource, tuple(drawn), {"write_disposition": "append"}, "dict", last)
    if disposition != "merge":
        return Extract(resource, tuple(drawn), {"write_disposition": disposition}, form)
    # Rows of data frames have no `_dlt_id`, which is the version of a row.
    strategy = draw(st.sampled_from(STRATEGIES if form == "dict" else STRATEGIES[:-1]))
    return _merge(draw, resource, drawn, form, strategy, ["id", ["id", "day"]])


def _merge(
    draw: st.DrawFn,
    resource: str,
    drawn: list[Row],
    form: Form,
    strategy: str,
    primary_keys: list[Any],
) -> Extract:
    hints: Row = {"write_disposition": {"disposition": "merge", "strategy": strategy}}
    columns: dict[str, Row] = {}
    unique = True
    if strategy == "delete-insert":
        keys = draw(st.sampled_from(["primary", "merge", "both"]))
        if keys != "merge":
            hints["primary_key"] = draw(st.sampled_from(primary_keys))
        if keys != "primary":
            hints["merge_key"] = "day"
        if draw(st.booleans()):
            columns["seq"] = {"dedup_sort": draw(st.sampled_from(["asc", "desc"]))}
        if draw(st.booleans()):
            columns["gone"] = {"hard_delete": True, "data_type": "bool"}
            drawn = [{**row, "gone": draw(st.sampled_from([True, False, None]))} for row in drawn]
        # Which of several rows with the same primary key remains is undefined without an order. dlt
        # keeps the key of an earlier load.
        unique = "seq" not in columns
    elif strategy == "scd2":
        if draw(st.booleans()):
            hints["merge_key"] = draw(st.sampled_from(["id", "day"]))
    else:
        hints["primary_key"] = draw(st.sampled_from(primary_keys))
    options = _draw_options(draw, strategy)
    hints["write_disposition"].update(options)
    if unique or "deduplicated" in options:
        drawn = list(_unique(drawn))
    if columns:
        hints["columns"] = columns
    return Extract(resource, tuple(drawn), hints, form)


def _draw_options(draw: st.DrawFn, strategy: str) -> Row:
    """Draw none of the options of a merge, or one, or for some of them more."""
    if "cdc" not in STRATEGIES:
        return {}
    names = draw(st.lists(st.sampled_from(_ACCEPTED.get(strategy, ("",))), max_size=2, unique=True))
    options = {name: draw(st.sampled_from(OPTIONS[name])) for name in names if name}
    if "skip_unchanged_rows" in options and draw(st.booleans()):
        options["row_version_column_name"] = "seq"
    return options


@st.composite
def loads(draw: st.DrawFn, *, keyed: bool) -> Load:
    """Draw one run."""
    source = draw(st.sampled_from([*SOURCES, "shop"]))
    chosen = draw(st.lists(st.sampled_from(SOURCES[source]), min_size=1, max_size=2, unique=True))
    refresh = draw(st.none() | st.none() | st.sampled_from(get_args(Refresh)))
    return Load(
        source,
        tuple(draw(extracts(name, keyed=keyed)) for name in chosen),
        refresh,
        is_new_directory=draw(st.booleans()),
        fails=draw(st.integers(0, 7)) == 0,
    )


def _comparable(program: Program) -> Program:
    """Return a program without what the destinations do differently by design.

    They differ where an unchanged row came with another `_dlt_id`, such as a
    random one or one of another primary key: `duckdb` keeps that row and leaves the incoming nested
    rows without a root, while `iceberg` replaces the row (docs/destination/plain-dlt.md). So the
    option is left out where an earlier load gave the resource's rows such a `_dlt_id`.

    `iceberg` deduplicates incoming rows in any case, `duckdb` does not with `deduplicated`, which
    dlt keeps in the schema: a later load without the option has it, too.
    """
    earlier: dict[str, set[str]] = {}
    deduplicated: set[str] = set()
    steps: list[Load | Drop] = []
    for step in program.steps:
        if isinstance(step, Load):
            chosen = []
            for extract in step.extracts:
                kinds = earlier.setdefault(extract.resource, set())
                kinds.add(_kind_of_id(extract))
                made = extract if len(kinds) == 1 else _comparing_all(extract)
                if "deduplicated" in extract.hints["write_disposition"]:
                    deduplicated.add(extract.resource)
                if extract.resource in deduplicated:
                    made = replace(made, rows=_unique(made.rows))
                chosen.append(made)
            step = replace(step, extracts=tuple(chosen))
        steps.append(step)
    return replace(program, steps=tuple(steps))


def _unique(rows: Iterable[Row]) -> tuple[Row, ...]:
    return tuple({row["id"]: row for row in rows}.values())


def _kind_of_id(extract: Extract) -> str:
    """Return what dlt makes `_dlt_id` of: for these strategies the primary key."""
    disposition = extract.hints["write_disposition"]
    strategy = disposition["strategy"] if isinstance(disposition, dict) else disposition
    return f"key {extract.hints['primary_key']}" if strategy in KEYED else "another"


def _comparing_all(extract: Extract) -> Extract:
    """Return an extract without `skip_unchanged_rows`."""
    disposition = extract.hints["write_disposition"]
    if not isinstance(disposition, dict):
        return extract
    skipping = ("skip_unchanged_rows", "row_version_column_name")
    kept = {name: value for name, value in disposition.items() if name not in skipping}
    return replace(extract, hints={**extract.hints, "write_disposition": kept})


drops = st.sampled_from([(s, r) for s, names in SOURCES.items() for r in names]).map(
    lambda pair: Drop(*pair)
)


def _programs(*, keyed: bool) -> st.SearchStrategy[Program]:
    load = loads(keyed=keyed)
    return st.builds(
        Program,
        naming=st.sampled_from(NAMINGS),
        root_key=st.just(value=True),
        replace_strategy=st.sampled_from(["truncate-and-insert", "insert-from-staging"]),
        steps=st.lists(load | load | load | load | drops, min_size=2, max_size=6).map(tuple),
    )


# One in four loads each resource by `id`, so that `skip_unchanged_rows` finds rows to skip.
programs = st.sampled_from([True, False, False, False]).flatmap(
    lambda keyed: _programs(keyed=keyed).map(_comparable)
)
