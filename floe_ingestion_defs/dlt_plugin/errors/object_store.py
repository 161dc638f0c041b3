"""Categorizes an object store's error, whichever of pyiceberg's FileIOs raised it.

pyarrow raises an `OSError` with the details only in its message; s3fs raises the closest built-in
error from botocore's `ClientError`, which has the store's own code.
"""

from __future__ import annotations

import re
from typing import Any

from floe_ingestion_defs.dlt_plugin.errors.exceptions import ErrorCategory

# "When … in bucket 'lake': AWS Error ACCESS_DENIED during PutObject operation: …", where a code
# that the SDK does not know is UNKNOWN, with the status and, further on, the store's own code:
# https://github.com/apache/arrow/blob/main/cpp/src/arrow/filesystem/s3_internal.h
_PYARROW = re.compile(
    r"AWS Error (?P<name>\w+)(?: \(HTTP status (?P<status>\d+)\))? during"
    r"(?:.*ExceptionName: (?P<code>\w+))?",
    re.DOTALL,
)
# https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html, without its word breaks.
# Credentials that a catalog vended expire; the next attempt gets new ones.
_TRANSIENT = frozenset(
    {
        "EXPIREDTOKEN",
        "EXPIREDTOKENEXCEPTION",
        "INTERNALERROR",
        "INTERNALFAILURE",
        "NETWORKCONNECTION",
        "REQUESTEXPIRED",
        "REQUESTTIMEOUT",
        "SERVICEUNAVAILABLE",
        "SLOWDOWN",
        "THROTTLING",
        "TOKENREFRESHREQUIRED",
    }
)
_PERMANENT = frozenset(
    {
        "ACCESSDENIED",
        "INCOMPLETESIGNATURE",
        "INVALIDACCESSKEYID",
        "INVALIDCLIENTTOKENID",
        "INVALIDSIGNATURE",
        "INVALIDTOKEN",
        "MISSINGAUTHENTICATIONTOKEN",
        "REQUESTTIMETOOSKEWED",
        "SIGNATUREDOESNOTMATCH",
        "UNRECOGNIZEDCLIENT",
    }
)
_CONFIGURATION = frozenset({"NOSUCHBUCKET", "RESOURCENOTFOUND"})


def storage_category(error: BaseException) -> ErrorCategory | None:
    """Return the category of an object store's error; None if it is another error, or unknown."""
    for code in _codes(error):
        word = code.replace("_", "").upper()
        if word in _TRANSIENT:
            return ErrorCategory.TRANSIENT
        if word in _PERMANENT:
            return ErrorCategory.PERMANENT
        if word in _CONFIGURATION:
            return ErrorCategory.CONFIGURATION
    return None


def storage_status(error: BaseException) -> int | None:
    """Return the HTTP status in the message of an error of pyarrow; None if it has none."""
    found = _PYARROW.search(str(error)) if isinstance(error, OSError) else None
    return int(found["status"]) if found and found["status"] else None


def _codes(error: BaseException) -> list[str]:
    response: Any = getattr(error, "response", None)
    if isinstance(response, dict):
        return [str(response.get("Error", {}).get("Code", ""))]
    found = _PYARROW.search(str(error)) if isinstance(error, OSError) else None
    return [found["name"], found["code"] or ""] if found else []
