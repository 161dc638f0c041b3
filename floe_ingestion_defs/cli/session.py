"""What all commands share: the catalog that they open, and how they show what they found."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

import click

from floe_ingestion_defs.cli.failures import Failure
from floe_ingestion_defs.dlt_plugin import ErrorCategory

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyiceberg.catalog import Catalog

    from floe_ingestion_defs.destinations import Dataset

# Wide enough for paths where the output is not a terminal, such as in a pod's log.
_WIDTH_WITHOUT_TERMINAL = 200

Row = dict[str, Any]


@dataclass
class Session:
    """One invocation of the command.

    Attributes:
        catalog_name: The catalog's name in pyiceberg's configuration.
        as_json: Whether to print JSON.
    """

    catalog_name: str = "floe"
    as_json: bool = False

    @cached_property
    def catalog(self) -> Catalog:
        """The catalog; opened on first use."""
        from floe_ingestion_defs.destinations import open_catalog

        return open_catalog(self.catalog_name)

    def datasets(self) -> list[Dataset]:
        """Return the datasets of the catalog: the namespaces with a log of loads."""
        from floe_ingestion_defs.destinations import Dataset

        names = sorted(".".join(levels) for levels in self.catalog.list_namespaces())
        found = (Dataset(self.catalog, name) for name in names)
        return [dataset for dataset in found if dataset.log.read() is not None]

    def dataset(self, name: str) -> Dataset:
        """Return a dataset.

        Raises:
            Failure: Nothing was ever loaded into it.
        """
        from floe_ingestion_defs.destinations import Dataset

        dataset = Dataset(self.catalog, name)
        if dataset.log.read() is None:
            known = ", ".join(f"`{each.name}`" for each in self.datasets()) or "none"
            msg = f"`{name}` is not a dataset: nothing was loaded into it."
            raise Failure(
                msg,
                ErrorCategory.CONFIGURATION,
                f"The catalog `{self.catalog_name}` has these datasets: {known}.",
                name,
            )
        return dataset

    def tables(self, dataset: Dataset, names: Sequence[str]) -> list[str]:
        """Return the given tables of a dataset, or all but dlt's own if none is given.

        Raises:
            Failure: A table does not exist.
        """
        known = sorted(name for *_, name in self.catalog.list_tables(dataset.namespace))
        for name in names:
            if name not in known:
                msg = f"`{dataset.qualified(name)}` does not exist."
                raise Failure(
                    msg,
                    ErrorCategory.CONFIGURATION,
                    f"`floe status {dataset.name}` lists the tables.",
                    dataset.qualified(name),
                )
        return list(names) or [name for name in known if not is_dlts_own(name)]

    def show(self, title: str, rows: Sequence[Row], **more: Any) -> None:
        """Print rows as a table, or with `more` as JSON.

        Args:
            title: The title of the table, and the rows' name in JSON.
            rows: Rows with the same columns.
            **more: Further values, which are printed above the table.
        """
        if self.as_json:
            click.echo(json.dumps({**more, title: rows}, default=_plain, indent=2))
            return
        from rich import box
        from rich.table import Table

        console = _console()
        for name, value in more.items():
            if value not in (None, "", [], {}):
                console.print(f"{name.replace('_', ' ')}: {_sized(name, value)}", markup=False)
        if not rows:
            console.print(f"no {title.replace('_', ' ')}")
            return
        table = Table(box=box.SIMPLE_HEAD, title=title.replace("_", " "), title_justify="left")
        for column in rows[0]:
            numeric = any(isinstance(row[column], int) for row in rows)
            table.add_column(
                column.replace("_", " "), justify="right" if numeric else "left", overflow="fold"
            )
        for row in rows:
            table.add_row(*(_cell(column, value) for column, value in row.items()))
        console.print(table)

    def show_failure(self, failure: Failure) -> None:
        """Print what ended the command, to standard error or as JSON."""
        if self.as_json:
            click.echo(json.dumps({"error": failure.as_dict()}, indent=2))
            return
        is_named = f"`{failure.table}`" in failure.reason
        where = f" {failure.table}" if failure.table and not is_named else ""
        click.echo(f"{failure.category.value}:{where} {failure.reason}", err=True)
        click.echo(failure.remedy, err=True)


def is_dlts_own(table: str) -> bool:
    """Return whether a table is one of dlt's own, such as the log."""
    return table.lstrip("_").startswith("dlt_")


def _console() -> Any:
    from rich.console import Console

    return Console(highlight=False, width=None if sys.stdout.isatty() else _WIDTH_WITHOUT_TERMINAL)


def _cell(column: str, value: Any) -> str:
    from rich.markup import escape

    return escape(_sized(column, value))


def _sized(name: str, value: Any) -> str:
    from rich.filesize import decimal

    return decimal(value) if "bytes" in name.split("_") and value is not None else _shown(value)


def _shown(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S %Z")
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value))
    return str(value)


def _plain(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
