"""Translates errors of dlt, a driver or the destination into a complete `IngestionError`.

The original error is attached as the cause unless its message contains a secret.
"""

from __future__ import annotations

import re
import traceback
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from floe_ingestion_defs.dlt_plugin.config.extras import install_command
from floe_ingestion_defs.dlt_plugin.config.resource_specs import tables_of
from floe_ingestion_defs.dlt_plugin.errors.categories import (
    SETUP_ERRORS,
    categorize_error,
    class_names,
    error_chain,
)
from floe_ingestion_defs.dlt_plugin.errors.exceptions import (
    DestinationWriteError,
    ErrorCategory,
    IngestionError,
    PipelineConfigurationError,
    SchemaContractViolation,
    SourceConnectionError,
    SourceReadError,
)
from floe_ingestion_defs.dlt_plugin.errors.row_values import (
    ValuesHidden,
    described_without_values,
    innermost_with_values,
)
from floe_ingestion_defs.dlt_plugin.errors.settings import explain_setting
from floe_ingestion_defs.dlt_plugin.schema_contract.contract import (
    CONFLICT_REMEDY,
    contract_violation,
    shown_value,
)

if TYPE_CHECKING:
    from floe_ingestion_defs.dlt_plugin.config.models import IngestionSourceConfig
    from floe_ingestion_defs.dlt_plugin.errors.redaction import Redactor

_DESTINATION_STEPS = frozenset({"load", "sync"})
# The first contact with the catalog or the source is about its settings, not yet about rows.
_BEFORE_ROWS = frozenset({"sync", "connect"})
_LONGEST_MESSAGE = 2000
# Errors during extraction which mean that the source could not be reached.
_CONNECTION_ERRORS = frozenset(
    {
        "builtins.OSError",
        "requests.exceptions.RequestException",
        "sqlalchemy.exc.DBAPIError",
        "botocore.exceptions.ClientError",
        "botocore.exceptions.BotoCoreError",
    }
)


def raise_as_ingestion_error(
    error: BaseException, source: IngestionSourceConfig, redactor: Redactor, step: str = ""
) -> NoReturn:
    """Raise an error of a source's load as an `IngestionError`.

    Args:
        error: The original error.
        source: The source that was loaded.
        redactor: Redacts secrets from messages.
        step: Step in which the error occurred; dlt's own errors name theirs.
    """
    ours = as_ingestion_error(error, source, redactor, step)
    text = "".join(traceback.format_exception(error))
    # dlt's message about a violated contract contains values of the row.
    sensitive = redactor.finds_secret(text) or isinstance(ours, SchemaContractViolation)
    if sensitive or ours is error:
        raise ours from None
    with_values = None if _all_show_values(source) else innermost_with_values(_below(error, ours))
    if with_values is None:
        raise ours from error
    hidden = ValuesHidden(type(with_values).__name__)
    raise ours from hidden.with_traceback(with_values.__traceback__)


def as_ingestion_error(
    error: BaseException, source: IngestionSourceConfig, redactor: Redactor, step: str = ""
) -> IngestionError:
    """Return the `IngestionError` for an error; see `raise_as_ingestion_error`."""
    chain = list(error_chain(error))
    about = {
        "source_name": source.name,
        "source_type": source.source_type,
        "destination_table": _table_in(chain, source),
        "pipeline_name": source.name,
    }
    category = categorize_error(error)
    if any(explain_setting(inner) for inner in chain):
        category = ErrorCategory.CONFIGURATION
    known = next((inner for inner in reversed(chain) if isinstance(inner, IngestionError)), None)
    if known is not None:
        known.message = redactor.clean(known.message)
        known.args = (known.message,)
        if isinstance(known, SchemaContractViolation) and known.value is not None:
            known.value = redactor.clean(known.value)
        for name, value in about.items():
            setattr(known, name, getattr(known, name) or value)
        ours = known
    else:
        step = next((inner.step for inner in chain if hasattr(inner, "step")), step)
        ours = _made_for(chain, category, step, redactor, source, about)
    ours.category = category
    return ours


def _below(error: BaseException, ours: IngestionError) -> list[BaseException]:
    """Return the errors that a stack trace would show beside our own."""
    return [inner for inner in error_chain(error) if inner is not ours]


def _table_in(chain: Sequence[BaseException], source: IngestionSourceConfig) -> str:
    """Return the table of the resource that failed, else the source's destination table."""
    failed = {getattr(error, "pipe_name", None) for error in chain}
    tables = [spec.table for spec in source.specs if spec.name in failed]
    return tables[0] if tables else tables_of(source)


def _made_for(
    chain: Sequence[BaseException],
    category: ErrorCategory,
    step: str,
    redactor: Redactor,
    source: IngestionSourceConfig,
    about: dict[str, str],
) -> IngestionError:
    for inner in chain:
        names = {kind.__name__ for kind in type(inner).__mro__}
        if "DataValidationError" in names:
            return _contract_violation(inner, source, about)
        if "IncompatibleSchema" in names:
            return _incompatible(inner, about)
        if explained := explain_setting(inner):
            return PipelineConfigurationError(redactor.clean(explained), **about)
    message = None
    if step not in _BEFORE_ROWS and not _all_show_values(source):
        message = described_without_values(chain)
    message = redactor.clean(message or _message(chain, for_catalog=step in _DESTINATION_STEPS))
    if step in _DESTINATION_STEPS:
        return DestinationWriteError(message, **about)
    if any(class_names(inner) & SETUP_ERRORS for inner in chain):
        return PipelineConfigurationError(message, **about)
    # By name: requests uses simplejson's class if that is installed.
    if any(type(inner).__name__ == "JSONDecodeError" for inner in chain):
        return SourceReadError(f"the response is not valid JSON: {message}", **about)
    if category is ErrorCategory.TRANSIENT or any(
        class_names(inner) & _CONNECTION_ERRORS for inner in chain
    ):
        return SourceConnectionError(message, **about)
    return SourceReadError(message, **about)


def _contract_violation(
    error: Any, source: IngestionSourceConfig, about: dict[str, str]
) -> SchemaContractViolation:
    table = str(error.table_name or "")
    column = str(error.column_name or "")
    schema = error.table_schema  # For a transformer's parent, it may be a pydantic model.
    columns = schema.get("columns", {}) if isinstance(schema, Mapping) else {}
    known = columns.get(column, {})
    value = None
    item = error.data_item
    if _shows_values(source, table) and isinstance(item, Mapping) and column in item:
        value = shown_value(item[column])
    return contract_violation(table, column, known.get("data_type"), None, value, **about)


def _all_show_values(source: IngestionSourceConfig) -> bool:
    return bool(source.specs) and all(spec.show_values for spec in source.specs)


def _shows_values(source: IngestionSourceConfig, table: str) -> bool:
    """Return whether values of a table, or of the one that it is nested in, may be shown."""
    return any(
        spec.show_values
        for spec in source.specs
        if table == spec.table_name or table.startswith(f"{spec.table_name}__")
    )


def _incompatible(error: Any, about: dict[str, str]) -> SchemaContractViolation:
    # Names that differ in case alone are not a conflict of types.
    remedy = "" if hasattr(error, "present") else f" Or {CONFLICT_REMEDY}"
    return SchemaContractViolation(
        f"{error}{remedy}",
        table=error.table,
        column=error.column,
        expected=error.table_type,
        found=error.incoming_type,
        **about,
    )


def _message(chain: Sequence[BaseException], *, for_catalog: bool) -> str:
    """Return the message of the innermost error that has one, without debugging details."""
    inner = next((error for error in reversed(chain) if _text(error, for_catalog)), None)
    if inner is None:
        return type(chain[-1]).__name__
    message = _text(inner, for_catalog)
    around = next((e for e in chain if inner in (e.__cause__, e.__context__)), None)
    module = "" if around is None else type(around).__module__.partition(".")[0]
    if module == "pyiceberg" and not isinstance(inner, ImportError):
        # The catalog's own message, and the request that failed.
        message = f"{_text(around, for_catalog)} ({message})"
    elif module in ("urllib3", "aiohttp") and isinstance(inner, OSError):
        # The operating system's message has no address; the caller's has both.
        message = _text(around, for_catalog)
    return message[:_LONGEST_MESSAGE]


def _text(error: BaseException | None, for_catalog: bool) -> str:
    text = str(error or "")
    if type(error).__module__.startswith("sqlalchemy"):
        text = re.sub(r"\n?\[SQL: .*", "", text, flags=re.DOTALL)
    text = re.sub(r"\n?\(Background on this error.*", "", text, flags=re.DOTALL).strip()
    if isinstance(error, ModuleNotFoundError) and error.name:
        text += f"; {install_command(error.name, for_catalog=for_catalog)}"
    return f"{type(error).__name__}: {text}" if text else ""
