"""A failure as an operator sees it: category, table, reason and remedy, without secrets."""

from __future__ import annotations

from floe_ingestion_defs.dlt_plugin import ErrorCategory, categorize_error
from floe_ingestion_defs.dlt_plugin.config.destination import environment_of
from floe_ingestion_defs.dlt_plugin.errors.categories import error_chain
from floe_ingestion_defs.dlt_plugin.errors.redaction import redactor_for

# 75 is EX_TEMPFAIL of sysexits.h: the caller can run the command again.
EXIT_CODES = {
    ErrorCategory.TRANSIENT: 75,
    ErrorCategory.PERMANENT: 1,
    ErrorCategory.PARTIAL: 1,
    ErrorCategory.CONFIGURATION: 2,
}
REMEDIES = {
    ErrorCategory.TRANSIENT: "The failure is transient; run the command again.",
    ErrorCategory.PERMANENT: (
        "Running the command again will not help until the data or the permissions change."
    ),
    ErrorCategory.PARTIAL: "See the errors of the tables that failed.",
    ErrorCategory.CONFIGURATION: (
        "Correct the command line or the configuration of the catalog, or install the missing "
        "package; `floe doctor` shows what responds."
    ),
}


class Failure(Exception):
    """The failure of a command.

    Attributes:
        category: Whether a retry can help, and who has to act.
        reason: What happened.
        remedy: What to do.
        table: `namespace.table`, or the dataset, empty where it concerns neither.
    """

    def __init__(
        self, reason: str, category: ErrorCategory, remedy: str = "", table: str = ""
    ) -> None:
        super().__init__(reason)
        self.category = category
        self.reason = reason
        self.remedy = remedy or REMEDIES[category]
        self.table = table

    @property
    def exit_code(self) -> int:
        """The exit code of the process."""
        return EXIT_CODES[self.category]

    def as_dict(self) -> dict[str, str]:
        """Return the failure as JSON shows it."""
        return {
            "category": self.category.value,
            "table": self.table,
            "reason": self.reason,
            "remedy": self.remedy,
        }


def describe(error: Exception, catalog_name: str, table: str = "") -> Failure:
    """Return an error as a failure.

    Args:
        error: The error.
        catalog_name: The catalog, whose secrets are redacted.
        table: The table that was worked on, where the error names none.
    """
    if isinstance(error, Failure):
        return error
    shown = next((each for each in error_chain(error) if str(each)), error)
    redactor = redactor_for(environment_of({"catalog_name": catalog_name}))
    reason = redactor.clean(f"{type(shown).__name__}: {shown}")
    return Failure(reason, categorize_error(error), table=getattr(error, "table", None) or table)
