"""What HttpGet asks for and looks at, and which files HttpServe gives away, without a network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shakeout.errors import BadParameters
from shakeout.modules import HttpGet, HttpServe, durations
from shakeout.modules.durations import Durations
from shakeout.modules.http.checks import find_json, parse_statuses, parse_url, same, told
from shakeout.modules.http.server import inside


@pytest.mark.parametrize(
    ("url", "base", "target"),
    [
        ("http://a", "", (False, "a", 80, "a", "/")),
        ("https://a:8443/x?y=1#z", "", (True, "a", 8443, "a:8443", "/x?y=1")),
        ("http://[fd00::1]:80/", "", (False, "fd00::1", 80, "[fd00::1]:80", "/")),
        ("HTTP://A/a b/ü?q=ü%20", "", (False, "a", 80, "a", "/a%20b/%C3%BC?q=%C3%BC%20")),
        ("../c", "http://a:81/b/d/e", (False, "a", 81, "a:81", "/b/c")),
        ("//other/x", "https://a/b", (True, "other", 443, "other", "/x")),
    ],
)
def test_a_url_says_where_to_go(url: str, base: str, target: tuple[Any, ...]) -> None:
    assert tuple(parse_url(url, base)) == target
    assert tuple(parse_url(parse_url(url, base).url)) == target


@pytest.mark.parametrize("url", ["", "a", "/x", "ftp://a/", "http://", "http://a:99999/", "http://u:p@a/", "http://ü/"])
def test_what_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(ValueError):
        parse_url(url)


@given(st.text(max_size=40), st.sampled_from(["", "http://a/b"]))
def test_no_location_leads_elsewhere_than_http(url: str, base: str) -> None:
    try:
        target = parse_url(url, base)
    except ValueError:
        return
    line = f"GET {target.path} HTTP/1.1\r\nHost: {target.authority}"
    assert line.isascii()
    assert len(line.splitlines()) == 2
    assert len(line.split()) == 5


@pytest.mark.parametrize(
    ("value", "ranges"),
    [
        (200, ((200, 200),)),
        ("2xx", ((200, 299),)),
        ("200-299, 404", ((200, 299), (404, 404))),
        ([200, "3XX"], ((200, 200), (300, 399))),
    ],
)
def test_statuses(value: object, ranges: Any) -> None:
    assert parse_statuses(value) == ranges
    assert parse_statuses(told(ranges).replace(" or ", ",")) == ranges


@pytest.mark.parametrize("value", ["", "2x", "99", "1000", "300-200", "0xx", [], [[200]], None, True, "²xx", 2.5])
def test_what_is_no_status_is_refused(value: object) -> None:
    with pytest.raises(ValueError):
        parse_statuses(value)


def test_a_path_leads_through_json() -> None:
    document = {"items": [{"name": "a"}, {"name": "b"}], "up": True}
    assert find_json(document, "items.1.name") == find_json(document, "items.-1.name") == "b"
    assert find_json(document, "") is document
    for path, said in {
        "itens": "no 'itens'.*items",
        "items.2": "list of 2, without '2'",
        "items.x": "without 'x'",
        "up.x": "up is True",
        "items.0.name.x": "items.0.name is 'a'",
    }.items():
        with pytest.raises(LookupError, match=said):
            find_json(document, path)


def test_values_are_compared_as_json_has_them() -> None:
    assert same(1, 1.0)
    assert same(True, True)
    assert not same(True, 1)
    assert not same("1", 1)
    assert same(1, "1")  # from the command line everything is text
    assert same(True, "true")
    assert same(None, "null")
    assert not same({"a": 1}, '{"a": 1}')
    assert not same("x", "y")


@given(st.lists(st.floats(1e-6, 10), min_size=1, max_size=200))
def test_percentiles_are_values(seconds: list[float]) -> None:
    all_of_them = Durations()
    for value in seconds:
        all_of_them.add(value)
    found = all_of_them.told()
    assert found is not None
    assert found["min"] <= found["p50"] <= found["p95"] <= found["p99"] <= found["max"]
    assert found["p50"] in [round(value * 1e3, 3) for value in seconds]
    assert sum(round(value * 1e3, 3) <= found["p95"] for value in seconds) >= 0.95 * len(seconds)


def test_millions_of_durations_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(durations, "KEPT", 1000)
    many = Durations()
    for number in range(50_000):
        many.add(number / 1000)
    found = many.told()
    assert found is not None
    assert (found["min"], found["max"], found["avg"]) == (0.0, 49999.0, 24999.5)
    assert found["p50"] == pytest.approx(25000, rel=0.1)
    assert found["p99"] == pytest.approx(49500, rel=0.01)
    assert len(many._kept) == 1000


def test_only_what_is_inside_the_folder_is_served(tmp_path: Path) -> None:
    root, outer = tmp_path / "root", tmp_path / "secret.txt"
    (root / "sub").mkdir(parents=True)
    outer.write_text("secret")
    (root / "index.html").write_text("index")
    (root / "sub" / "a.txt").write_text("a")
    (root / "out").symlink_to(outer)
    (root / "in").symlink_to(root / "sub" / "a.txt")
    (root / "loop").symlink_to("loop")
    assert inside(root, "/") == root / "index.html"
    assert inside(root, "//sub///a.txt") == inside(root, "/in") == root / "sub" / "a.txt"
    for path in ("/../secret.txt", "/sub/../../secret.txt", "/out", "/loop", "/sub", "/none", "/a\0b", "/" + "x" * 999):
        assert inside(root, path) is None


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"url": "a"}, "expected a URL"),
        ({"status": "20"}, "expected a status"),
        ({"pattern": "("}, "regular expression"),
        ({"headers": {"A": "b\r\nC: d"}}, "headers"),
        ({"headers": {"A:": "b"}}, "headers"),
        ({"authorization": "a\nb"}, "authorization"),
        ({"method": "GET /"}, "method"),
        ({"ca": "/x"}, "for https"),
        ({"url": "https://a", "ca": "/x", "verify": False}, "contradict"),
    ],
)
def test_bad_requests_are_refused(params: dict[str, Any], said: str) -> None:
    with pytest.raises(BadParameters, match=said):
        HttpGet(**{"url": "http://a", **params})


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"key": "/x"}, "key needs cert"),
        ({"cert": "/x"}, "tls=True"),
        ({"timeout": 1}, "needs requests"),
        ({"responses": {"x": ""}}, "begins with /"),
        ({"responses": {"/x": 1}}, "expected text"),
        ({"responses": {"/x": {"stat": 1}}}, "no 'stat'.*status"),
        ({"responses": {"/x": {"status": "200"}}}, "wrong kind"),
        ({"responses": {"/x": {"status": True}}}, "wrong kind"),
        ({"responses": {"/x": {"status": 100}}}, "200 to 599"),
        ({"responses": {"/x": {"delay": -1}}}, "delay"),
        ({"responses": {"/x": {"headers": {"A": "b\n"}}}}, "one line"),
        ({"responses": {"/x": {"body": "x", "echo": True}}}, "contradict"),
    ],
)
def test_bad_responses_are_refused(params: dict[str, Any], said: str) -> None:
    with pytest.raises(BadParameters, match=said):
        HttpServe(**params)


def test_what_proves_who_we_are_is_not_shown() -> None:
    assert "Bearer" not in str(HttpGet(url="http://a", authorization="Bearer abc"))
