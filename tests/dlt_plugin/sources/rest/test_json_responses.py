"""What an API answers is parsed once, and comes to the same as what `requests` makes of it."""

from io import BytesIO
from typing import Any

import pytest
from requests import Response

from floe_ingestion_defs.dlt_plugin.sources.rest.json_responses import CachedResponse

BODIES: dict[str, bytes] = {
    "an object": '{"data": [{"id": 1, "name": "Ærø", "share": 0.1}], "next": null}'.encode(),
    "a number": b" 7 ",
    "floats": b"[0.1, 1e10, 1E-3, -0.0, -0, 1.0, 5e-324, 123456789.123456789]",
    "the longest integers": b"[9223372036854775807, -9223372036854775808, 18446744073709551615]",
    "longer integers": b"[-9223372036854775809, 18446744073709551616, 100000000000000000000000]",
    "a long text of digits": b'["00012345678901234567890123456789"]',
    "not a number": b"[NaN, Infinity, -Infinity, 1e400]",
    "half a character": b'["\\ud800", "\\ud83d\\ude00"]',
    "a name twice": b'{"a": 1, "a": 2}',
    "a mark before it": b'\xef\xbb\xbf{"a": 1}',
    "UTF-16": '{"a": "é"}'.encode("utf-16"),
    "bytes that are not UTF-8": b'{"a": "\xe9"}',
    "cut off": b'{"a": [1, 2',
    "a page of HTML": b"<html>",
    "nothing": b"",
}


def response(body: bytes, encoding: str | None) -> Response:
    """A response as it comes out of a session."""
    made = Response()
    made.status_code = 200
    made.encoding = encoding
    made.raw = BytesIO(body)
    assert made.content == body
    return made


def outcome(of: Response) -> tuple[Any, ...]:
    """The JSON, its types included, or the error."""
    try:
        return ("parsed", repr(of.json()))
    except ValueError as error:
        return ("failed", type(error), str(error))


@pytest.mark.parametrize("encoding", [None, "utf-8", "UTF-8", "ISO-8859-1"])
@pytest.mark.parametrize("body", BODIES)
def test_a_response_is_parsed_as_requests_parses_it(body: str, encoding: str | None) -> None:
    plain = response(BODIES[body], encoding)
    assert outcome(CachedResponse(plain)) == outcome(plain)


def test_a_response_is_parsed_once_until_its_body_changes() -> None:
    """Also where a response action puts another body in its place."""
    answer = CachedResponse(response(b'{"a": [1]}', None))
    first = answer.json()
    assert answer.json() is first
    assert answer.json(parse_int=str) == {"a": ["1"]}
    answer._content = b'{"a": [2]}'  # noqa: SLF001 - as users' response actions do it
    assert answer.json() == {"a": [2]}
    assert first == {"a": [1]}


def test_a_parsed_response_keeps_all_other_attributes() -> None:
    plain = response(b"{}", "utf-8")
    plain.headers["Link"] = '<https://api.example.com/?page=2>; rel="next"'
    plain.url = "https://api.example.com/"
    answer = CachedResponse(plain)
    assert answer.links["next"]["url"] == "https://api.example.com/?page=2"
    assert (answer.status_code, answer.url, answer.text) == (200, plain.url, "{}")
