import http.client
import json
from collections.abc import Iterator
from itertools import pairwise
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from dlt_sources.nyc_flights_demo.simulated_systems import SimulatedSystems, settings

KEY = {"Authorization": f"Bearer {settings.WEATHER_API_KEY}"}


def _get(url: str, **parameters: str | int) -> requests.Response:
    return requests.get(url, params=parameters, headers=KEY, timeout=30)


def _pages(url: str, **parameters: str | int | None) -> Iterator[dict[str, Any]]:
    following: str | None = (
        requests.Request("GET", f"{url}/weather", params=parameters).prepare().url
    )
    with requests.Session() as session:
        session.headers.update(KEY)
        while following:
            page = session.get(following, timeout=30)
            assert page.status_code == 200
            yield page.json()
            following = page.json()["next"]


def test_the_pages_of_the_year_contain_every_observation_once_in_order(weather_url: str) -> None:
    """26,115 observations by time_hour, then origin; no key occurs twice."""
    keys = [
        (row["time_hour"], row["origin"])
        for page in _pages(weather_url, page_size=settings.LARGEST_PAGE_SIZE)
        for row in page["data"]
    ]
    assert keys == sorted(keys)
    assert len(set(keys)) == len(keys) == 26_115


def test_the_repeated_hour_of_daylight_saving_time_is_not_a_duplicate(weather_url: str) -> None:
    """Three rows repeat in local time; time_hour distinguishes them."""
    page = _get(f"{weather_url}/weather", since="2013-11-03T05:00:00Z", page_size=6).json()
    local = {tuple(row[c] for c in ("origin", "month", "day", "hour")) for row in page["data"]}
    assert local == {(origin, 11, 3, 1) for origin in ("EWR", "JFK", "LGA")}
    times = [row["time_hour"] for row in page["data"]]
    assert times == ["2013-11-03T05:00:00Z"] * 3 + ["2013-11-03T06:00:00Z"] * 3


def test_each_column_has_one_type_and_missing_values_are_null(weather_url: str) -> None:
    """A measure is a float in every row, so that a loader makes one column of it."""
    kinds: dict[str, set[str]] = {}
    for page in _pages(weather_url, page_size=5_000):
        for row in page["data"]:
            for column, value in row.items():
                kinds.setdefault(column, set()).add(type(value).__name__)
    for column, found in kinds.items():
        assert len(found - {"NoneType"}) == 1, (column, found)
    assert kinds["precip"] == {"float"}
    assert kinds["wind_gust"] == {"float", "NoneType"}
    assert kinds["wind_dir"] == {"int", "NoneType"}
    assert kinds["time_hour"] == {"str"}


def test_only_months_that_have_landed_are_known(systems: SimulatedSystems) -> None:
    """Also those that land while the server runs."""
    with systems.weather_server().running() as url:
        assert [page["total"] for page in _pages(url)] == [0]
        systems.land(through=6)
        assert sum(len(page["data"]) for page in _pages(url)) == 13_014
        systems.land(through=12)
        since = "2013-07-01T04:00:00Z"
        assert sum(len(page["data"]) for page in _pages(url, since=since)) == 13_101


@pytest.mark.parametrize(
    "since",
    [
        "2013-12-30T23:00:00Z",
        "2013-12-30T23:00:00.000000+00:00",
        "2013-12-30T18:00:00-05:00",
        "2013-12-30T22:00:00.000001Z",
        "2013-12-30T23:00:00",
        "2013-12-30 23:00:00",
    ],
)
def test_since_is_inclusive_and_accepts_every_format_of_iso_8601(
    weather_url: str, since: str
) -> None:
    """A timestamp without a time zone is UTC."""
    pages = list(_pages(weather_url, since=since))
    assert [len(page["data"]) for page in pages] == [3]
    assert pages[0]["total"] == 3


def test_until_is_exclusive_so_that_months_follow_each_other_without_overlap(
    weather_url: str,
) -> None:
    """Consecutive windows contain every observation once."""
    january = "2013-01-01T05:00:00Z"
    bounds = [january, "2013-02-01T05:00:00Z", "2013-02-01T06:00:00Z", None]
    read = [
        [
            (observation["origin"], observation["time_hour"])
            for page in _pages(weather_url, since=since, until=until)
            for observation in page["data"]
        ]
        for since, until in pairwise(bounds)
    ]
    (whole,) = {page["total"] for page in _pages(weather_url, since=january)}
    assert {hour for _, hour in read[1]} == {bounds[1]}
    assert len({key for keys in read for key in keys}) == sum(map(len, read)) == whole


def test_a_window_without_observations_is_an_empty_last_page(weather_url: str) -> None:
    """Also a window that ends before it begins."""
    for since, until in (("2014-01-01", "2015-01-01"), ("2013-03-01", "2013-02-01")):
        (page,) = _pages(weather_url, since=since, until=until)
        assert (page["data"], page["total"]) == ([], 0)


def test_a_page_has_the_requested_size_up_to_a_maximum(weather_url: str) -> None:
    """The default is 1,000, the maximum 5,000; a page beyond the end is empty and the last."""
    default = next(_pages(weather_url))
    assert len(default["data"]) == default["page_size"] == 1_000
    sizes = [len(page["data"]) for page in _pages(weather_url, page_size=5_000)]
    assert sizes == [5_000] * 5 + [1_115]
    past = next(_pages(weather_url, page=1_000))
    assert (past["data"], past["next"]) == ([], None)


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("page_size=5001", "page_size"),
        ("page_size=0", "page_size"),
        ("page_size=1e3", "page_size"),
        ("page_size=", "page_size"),
        ("page=0", "page"),
        ("page=-1", "page"),
        ("page=99999999999999999999", "page"),
        ("page=%D9%A1", "page"),
        ("since=yesterday", "since"),
        ("since=2013-13-01T00:00:00Z", "since"),
        ("since=2013-12-30T23:00:00+00:00", "%2B"),
        ("until=tomorrow", "until"),
        ("since=2013-01-01&since=2013-01-02", "since"),
        ("sinse=2013-01-01", "sinse"),
        ("nonsense", "nonsense"),
    ],
)
def test_an_invalid_parameter_returns_400_and_a_json_error_that_names_it(
    weather_url: str, query: str, named: str
) -> None:
    """The connection can still be used."""
    with requests.Session() as session:
        session.headers.update(KEY)
        answer = session.get(f"{weather_url}/weather?{query}", timeout=30)
        assert answer.status_code == 400
        assert named in answer.json()["error"]
        assert session.get(f"{weather_url}/weather?page_size=1", timeout=30).status_code == 200


@pytest.mark.parametrize("key", [{}, {"Authorization": "Bearer another"}])
def test_a_request_without_the_api_key_returns_401(weather_url: str, key: dict[str, str]) -> None:
    """In JSON, and without any observation."""
    answer = requests.get(f"{weather_url}/weather", headers=key, timeout=30)
    assert answer.status_code == 401
    assert answer.json().keys() == {"error"}


def test_an_unknown_path_returns_404(weather_url: str) -> None:
    """In JSON, like everything else."""
    answer = _get(f"{weather_url}/climate")
    assert answer.status_code == 404
    assert "/climate" in answer.json()["error"]


def test_one_connection_serves_many_requests(weather_url: str) -> None:
    """HTTP/1.1 keeps the connection; HEAD is answered without a body."""
    connection = http.client.HTTPConnection(urlsplit(weather_url).netloc, timeout=30)
    connection.connect()
    socket = connection.sock
    for method in ("GET", "HEAD", "GET"):
        connection.request(method, "/weather?page_size=2", headers=KEY)
        answer = connection.getresponse()
        body = answer.read()
        assert (answer.status, answer.version) == (200, 11)
        assert int(answer.headers["Content-Length"]) > 0
        assert (len(json.loads(body)["data"]) == 2) if method == "GET" else body == b""
        assert connection.sock is socket
    connection.close()


def test_a_server_that_was_restarted_serves_the_same_pages_on_the_same_port(
    whole_year: SimulatedSystems,
) -> None:
    """A client continues with the `next` of an earlier page."""
    with whole_year.weather_server().running() as url:
        first = _get(f"{url}/weather", page_size=10).json()
        before = _get(first["next"]).json()
    port = urlsplit(url).port
    assert port
    with pytest.raises(requests.ConnectionError):
        _get(first["next"])
    with whole_year.weather_server(port).running():
        assert _get(first["next"]).json() == before
