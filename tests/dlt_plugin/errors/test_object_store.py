"""An object store's errors, as each of pyiceberg's FileIOs reports them."""

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from pyiceberg.exceptions import (
    AuthorizationExpiredError,
    CommitFailedException,
    OAuthError,
    UnauthorizedError,
)
from requests import HTTPError, Response

from floe_ingestion_defs.dlt_plugin import ErrorCategory, categorize_error

TRANSIENT = ErrorCategory.TRANSIENT
PERMANENT = ErrorCategory.PERMANENT
CONFIGURATION = ErrorCategory.CONFIGURATION


@pytest.mark.parametrize(
    ("happened", "category"),
    [
        ("NETWORK_CONNECTION during PutObject operation: curlCode: 7, no connection", TRANSIENT),
        ("SLOW_DOWN during PutObject operation: Please reduce your request rate.", TRANSIENT),
        ("UNKNOWN (HTTP status 503) during PutObject operation: No response body.", TRANSIENT),
        (
            "UNKNOWN (HTTP status 400) during PutObject operation: Unable to parse ExceptionName: "
            "ExpiredToken Message: The provided token has expired.",
            TRANSIENT,
        ),
        ("ACCESS_DENIED during HeadObject operation: No response body.", PERMANENT),
        ("INVALID_ACCESS_KEY_ID during PutObject operation: not in our records.", PERMANENT),
        ("SIGNATURE_DOES_NOT_MATCH during CreateMultipartUpload operation: Check it.", PERMANENT),
        ("NO_SUCH_BUCKET during PutObject operation: it is not there", CONFIGURATION),
        ("UNKNOWN (HTTP status 400) during PutObject operation: No response body.", CONFIGURATION),
    ],
)
def test_pyarrow_s_message_decides(happened: str, category: ErrorCategory) -> None:
    error = OSError(f"When writing key 'a/b.parquet' in bucket 'lake': AWS Error {happened}")
    assert categorize_error(error) is category


@pytest.mark.parametrize(
    ("code", "status", "category"),
    [
        ("SlowDown", 503, TRANSIENT),
        ("RequestTimeout", 400, TRANSIENT),
        ("ExpiredToken", 400, TRANSIENT),
        ("AccessDenied", 403, PERMANENT),
        ("403", 403, PERMANENT),
        ("InvalidAccessKeyId", 403, PERMANENT),
        ("NoSuchBucket", 404, CONFIGURATION),
    ],
)
def test_the_stores_code_decides_below_what_s3fs_makes_of_it(
    code: str, status: int, category: ErrorCategory
) -> None:
    said = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    error = OSError("what s3fs makes of it")
    error.__cause__ = ClientError(said, "PutObject")
    assert categorize_error(error) is category


def test_a_store_that_cannot_be_reached_by_s3fs_is_transient() -> None:
    assert categorize_error(EndpointConnectionError(endpoint_url="http://store")) is TRANSIENT


@pytest.mark.parametrize(
    ("kind", "status", "category"),
    [
        (OAuthError, 400, PERMANENT),
        (UnauthorizedError, 401, PERMANENT),
        (AuthorizationExpiredError, 419, TRANSIENT),
        (CommitFailedException, 409, TRANSIENT),
    ],
)
def test_a_catalogs_error_decides_before_the_status_below_it(
    kind: type[Exception], status: int, category: ErrorCategory
) -> None:
    """A 400 from a token endpoint is a wrong login, not a wrong request of ours."""
    response = Response()
    response.status_code = status
    error = kind("said by the catalog")
    error.__cause__ = HTTPError("below", response=response)
    assert categorize_error(error) is category
