"""Every place in which a secret can be configured, with one planted in it."""

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

Source = dict[str, Any]
SECRET = "sw0rd&fish/7"
# How it can appear in a text: plain, quoted, or cut where a log would cut it.
SHOWN_AS = (SECRET, quote(SECRET, safe=""), quote(SECRET), "sw0rd&fish", "sw0rd%26fish")
# What `${NAME}` stands for in some of the places.
ENVIRONMENT = {
    "PLANTED_TOKEN": SECRET,
    "PLANTED_URL": f"postgresql://me:{quote(SECRET, safe='')}@127.0.0.1:1/x",
}


def _rest(url: str, *, client: Any = None, endpoint: Any = None, **source: Any) -> Source:
    return {
        "name": "leaky",
        "source_type": "rest_api",
        "destination_table": "bronze.items",
        "source_config": {
            "client": {"base_url": url, "paginator": "single_page", **(client or {})},
            "resources": [
                {"name": "items", "endpoint": {"path": "items", **(endpoint or {})}},
            ],
        },
        **source,
    }


def _sql(**source: Any) -> Source:
    return {
        "name": "leaky",
        "source_type": "sql_database",
        "destination_table": "bronze.items",
        "source_config": {"table_names": ["items"], **source.pop("source_config", {})},
        **source,
    }


def _files(url: str, **config: Any) -> Source:
    return {
        "name": "leaky",
        "source_type": "filesystem",
        "destination_table": "bronze.items",
        "source_config": {"bucket_url": "s3://planted", "format": "csv", **config},
    }


def _in_query(location: str) -> dict[str, Any]:
    return {"type": "api_key", "name": "k", "api_key": SECRET, "location": location}


# Those that are asked over HTTP, and so can be answered well or badly, by the URL of the API.
OVER_HTTP: dict[str, Callable[[str], Source]] = {
    "credentials": lambda url: _rest(url, credentials=SECRET),
    "variable": lambda url: _rest(url, credentials="${PLANTED_TOKEN}"),
    "bearer": lambda url: _rest(url, client={"auth": {"type": "bearer", "token": SECRET}}),
    "basic": lambda url: _rest(
        url, client={"auth": {"type": "http_basic", "username": "me", "password": SECRET}}
    ),
    "key in query": lambda url: _rest(url, client={"auth": _in_query("query")}),
    "key in header": lambda url: _rest(url, client={"auth": _in_query("header")}),
    "headers": lambda url: _rest(
        url, client={"headers": {"Authorization": f"Token {SECRET}", "X-Tenant": SECRET}}
    ),
    "header of an endpoint": lambda url: _rest(url, endpoint={"headers": {"X-Tenant": SECRET}}),
    "parameter": lambda url: _rest(url, endpoint={"params": {"api_key": SECRET}}),
    "url": lambda url: _rest(url.replace("//", f"//me:{quote(SECRET, safe='')}@")),
    "bucket": lambda url: _files(
        url,
        credentials={
            "aws_access_key_id": "planted",
            "aws_secret_access_key": SECRET,
            "aws_session_token": SECRET,
            "endpoint_url": url,
        },
    ),
}
# Those whose server is not there, or repeats what it received.
ELSEWHERE: dict[str, Callable[[str], Source]] = {
    "database": lambda url: _sql(credentials=ENVIRONMENT["PLANTED_URL"]),
    "database in source_config": lambda url: _sql(
        source_config={"credentials": ENVIRONMENT["PLANTED_URL"]}
    ),
    "database variable": lambda url: _sql(credentials="${PLANTED_URL}"),
    "database by parts": lambda url: _sql(
        credentials={
            "drivername": "postgresql",
            "host": "127.0.0.1",
            "port": "1",
            "database": "x",
            "username": "me",
            "password": SECRET,
        }
    ),
    "driver": lambda url: _sql(
        source_config={"engine_kwargs": {"connect_args": {"password": SECRET}}},
        credentials="sqlite:///shop.db",
    ),
    "arguments": lambda url: {
        "name": "leaky",
        "source_type": "python",
        "destination_table": "bronze.{resource}",
        "source_config": {
            "factory": "sample_source:orders",
            "arguments": {"secret": SECRET},
            "resource_names": ["order"],
        },
    },
}
CATALOGS: dict[str, Callable[[str], dict[str, Any]]] = {
    "credential": lambda url: {"type": "rest", "uri": url, "credential": f"planted:{SECRET}"},
    "token": lambda url: {"type": "rest", "uri": url, "token": SECRET},
    "variable": lambda url: {"type": "rest", "uri": url, "token": "${PLANTED_TOKEN}"},
    "header": lambda url: {"type": "rest", "uri": url, "header.X-Tenant": SECRET},
    "login": lambda url: {
        "type": "rest",
        "uri": url,
        "auth": {"type": "basic", "basic": {"username": "me", "password": SECRET}},
    },
    "store": lambda url: {"type": "rest", "uri": url, "s3_secret_access_key": SECRET},
    "database": lambda url: {
        "type": "sql",
        "uri": ENVIRONMENT["PLANTED_URL"].replace("postgresql:", "postgresql+psycopg2:"),
        "warehouse": "warehouse",
    },
}
