"""The document loader: YAML 1.2, positions, and every error at once, with its place."""

from __future__ import annotations

import json
import random
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shakeout.config import load, parse, schema_names, schema_of
from shakeout.errors import BadDocument, UnknownName

POOL = """\
host: {name: dut1, address: "dut1.lab:9999", via: tls}
params: {arch: x86_64, rack: 7}
interfaces:
  - {id: eth1, hwaddr: 52:54:00:00:00:11, network: net1, params: {driver: mlx5_core}}
"""


def refused(text: str | bytes, **options: Any) -> str:
    with pytest.raises(BadDocument) as caught:
        parse(text, **options)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("on: yes", {"on": "yes"}),
        ("mac: 52:54:00:00:00:11", {"mac": "52:54:00:00:00:11"}),
        ("no", "no"),
        ("time: 12:30:45", {"time": "12:30:45"}),
        ("date: 2024-01-01", {"date": "2024-01-01"}),
        ("[010, 0o17, 0x1F, +5, -0]", [10, 15, 31, 5, 0]),
        ("[1e3, .5, 1., -1.5E-1]", [1000.0, 0.5, 1.0, -0.15]),
        ("[true, True, FALSE, ~, null, Null, '']", [True, True, False, None, None, None, ""]),
        ("1_000", "1_000"),
        ("1: a\ntrue: b", {"1": "a", "true": "b"}),
        ("a: &x [1]\nb: *x", {"a": [1], "b": [1]}),
        ("!!str 5", "5"),
        ("!!float 5", 5.0),
        ("! 5", "5"),
        ('"\\ud83d\\ude00 \\x41"', "😀 A"),
        ("a:\n  b", {"a": "b"}),
        ("", None),
        ("# nothing", None),
        ('{\n\t"a": [1, 2]\n}', {"a": [1, 2]}),
    ],
)
def test_yaml_is_that_of_the_core_schema(text: str, value: object) -> None:
    data = parse(text).data
    assert data == value
    assert repr(data) == repr(value), "types, too"


def test_an_alias_is_a_copy() -> None:
    data = parse("a: &x {k: [1]}\nb: *x").data
    data["a"]["k"].append(2)
    assert data["b"] == {"k": [1]}


@pytest.mark.parametrize(
    ("text", "line", "part"),
    [
        ("a: 1\nb: 2\na: 3", 3, "key 'a' is given twice (first in line 1)"),
        ("x:\n  a: 1\n  'a': 3", 3, "x: key 'a' is given twice (first in line 2)"),
        ("a: [1,\n b", 2, "not valid YAML"),
        ("a: b: c", 1, "mapping values are not allowed here"),
        ("\ta: 1", 1, "not valid YAML"),
        ("a: &x [*x]", 1, "alias *x stands inside of what it names"),
        ("a: *x", 1, "names no anchor"),
        ("a:\n  <<: {b: 1}", 2, "merge key <<"),
        ("a: !!python/object:os.system x", 1, "is not accepted"),
        ("a: !mine x", 1, "tag !mine is not accepted"),
        ("a: !!int x", 1, "no value for the tag"),
        ("a: 1\n---\nb: 1", 2, "a second document"),
        ("? [a]\n: 1", 1, "a key is text"),
        ("a\0b", 1, "not valid YAML"),
        ('"\\ud83d"', 1, "half a character"),
        ("9" * 5000, 1, "too long"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(text: str, line: int, part: str) -> None:
    message = refused(text, name="t.yaml")
    assert message.startswith(f"t.yaml:{line}: ")
    assert part in message


@pytest.mark.parametrize(
    ("text", "line", "part"),
    [
        ('{"a": 1,\n "a": 2}', 2, "key 'a' is given twice (first in line 1)"),
        ('{"a": 1,\n "\\u0061": 2}', 2, "given twice"),
        ('{"a": NaN}', 1, "NaN is not JSON"),
        ("[1,\n2\n}", 3, "not valid JSON"),
        ("[" * 200 + "]" * 200, 1, "nested deeper than 100 levels"),
        ("[" * 100_000, 1, "nested deeper"),
        ('["\\ud83d"]', 1, "half a character"),
        ("", 1, "not valid JSON"),
    ],
)
def test_json_is_read_as_strictly(text: str, line: int, part: str) -> None:
    message = refused(text, name="t.json", syntax="json")
    assert message.startswith(f"t.json:{line}: ")
    assert part in message


def test_places_of_yaml_json_and_toml() -> None:
    yaml = parse("a:\n  - b: 1\n    c: 2\n  - x\nd: 3")
    assert [yaml.place(path) for path in ((), ("a",), ("a", 0), ("a", 0, "c"), ("a", 1), ("d",))] == [
        1,
        1,
        2,
        3,
        4,
        5,
    ]
    assert yaml.place(("a", 0, "c", "deeper")) == 3, "the nearest around what is not there"
    js = parse('{"a": [\n {"b": 1,\n "c": "]\\n,"}\n],\n"d": {}}', syntax="json")
    assert [js.place(path) for path in ((), ("a",), ("a", 0), ("a", 0, "b"), ("a", 0, "c"), ("d",))] == [
        1,
        1,
        2,
        2,
        3,
        5,
    ]
    toml = parse('x = 1\n[t]\n"y z" = 2\na.b = 3\n', syntax="toml")
    assert [toml.place(path) for path in (("x",), ("t",), ("t", "y z"), ("t", "a", "b"))] == [1, 2, 3, 4]


def test_a_sound_pool_file_is_accepted() -> None:
    document = parse(POOL, schema=schema_of("pool"))
    assert document.data["interfaces"][0]["hwaddr"] == "52:54:00:00:00:11"


def test_all_errors_of_a_schema_come_at_once() -> None:
    text = """\
host: {nam: dut1}
params:
  arch: [x86]
interfaces:
  - id: eth1
    hwaddr: 52:54:00
    network: net1
  - 5
intefaces: []
"""
    with pytest.raises(BadDocument) as caught:
        parse(text, schema=schema_of("pool"), name="dut1.yaml")
    assert list(caught.value.problems) == [
        "dut1.yaml:1: host.nam: 'nam' is no known key (did you mean 'name'?)",
        "dut1.yaml:1: host: the key 'name' is missing",
        "dut1.yaml:1: host: the key 'address' is missing (host name or address, with :PORT if it is not the usual one)",
        "dut1.yaml:3: params.arch: a list of 1 is not accepted; expected text or a number or true or false",
        "dut1.yaml:6: interfaces[0].hwaddr: '52:54:00' is not accepted; "
        'expected a hardware address as "52:54:00:00:00:11"',
        "dut1.yaml:8: interfaces[1]: 5 is not accepted; expected a mapping",
        "dut1.yaml:9: intefaces: 'intefaces' is no known key (did you mean 'interfaces'?)",
    ]


def test_a_choice_names_all_and_the_nearest() -> None:
    message = refused("host: {name: a, address: b, via: shh}", schema=schema_of("pool"))
    assert "host.via: 'shh' is not accepted; expected one of 'tls', 'ssh'" in message
    assert message.endswith("(did you mean 'ssh'?)")


def test_of_alternatives_the_meant_one_is_reported() -> None:
    schema = {
        "oneOf": [
            {"type": "string", "title": "a command"},
            {"type": "object", "required": ["cmd"], "properties": {"cmd": {"type": "string"}}},
        ]
    }
    assert "the key 'cmd' is missing" in refused("{}", schema=schema)
    assert "cmd: 5 is not accepted; expected text" in refused("cmd: 5", schema=schema)
    assert "5 is not accepted; expected a command or a mapping with 'cmd'" in refused("5", schema=schema)


def test_files(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"a": 1}')
    (tmp_path / "a.toml").write_text("a = 1")
    (tmp_path / "a.yaml").write_bytes(b"\xef\xbb\xbfa: 1")
    for suffix in ("json", "toml", "yaml"):
        assert load(tmp_path / f"a.{suffix}").data == {"a": 1}
    (tmp_path / "latin.yaml").write_bytes(b"a: 1\nb: \xe4")
    with pytest.raises(BadDocument, match=r"latin.yaml:2: not UTF-8 text \(byte 0xe4\)"):
        load(tmp_path / "latin.yaml")
    with pytest.raises(BadDocument, match=r"missing\.yaml: cannot be read: No such file"):
        load(tmp_path / "missing.yaml")
    with pytest.raises(BadDocument, match="cannot be read: Is a directory"):
        load(tmp_path)
    with pytest.raises(BadDocument, match="nul"):
        load("nul\0.yaml")


def test_bombs_are_refused_at_once() -> None:
    start = time.monotonic()
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 9)
    )
    assert "more than 200000 values" in refused(bomb)
    for deep in (
        "[" * 100_000,
        "- " * 100_000,
        "{a: " * 100_000,
        "a:\n" + "".join(" " * n + "a:\n" for n in range(1, 300)),
    ):
        assert "nested deeper" in refused(deep)
    assert "larger than 2 MiB" in refused("a" * 3 * 2**20)
    assert time.monotonic() - start < 20


def test_schemas_are_sound_and_named() -> None:
    from jsonschema import Draft202012Validator

    assert {"config", "pool"} <= set(schema_names())
    for name in schema_names():
        Draft202012Validator.check_schema(schema_of(name))
    with pytest.raises(UnknownName, match="did you mean 'pool'"):
        schema_of("pol")


plain_data = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(plain_data)
def test_json_survives(data: object) -> None:
    assert parse(json.dumps(data, indent=1), syntax="json").data == data
    document = parse(json.dumps(data, ensure_ascii=False), syntax="json")
    assert document.data == data
    assert all(line == 1 for line in document.places.values())


@settings(deadline=None)
@given(plain_data.filter(lambda data: len(json.dumps(data)) < 1000))  # YAML's limit of a key on one line
def test_json_is_yaml(data: object) -> None:
    assert parse(json.dumps(data)).data == data


def test_mutated_documents_give_data_or_bad_document() -> None:
    random_source = random.Random(1)
    alphabet = "[]{}:,&*!|>'\"%@`#-?\\ \n\t0~<\0é\ud800\u2028\ufeff" + "ax1"
    for turn in range(1500):
        text = list(POOL + "x: &a [1, *b]\ny: |\n  text\nz: !!str 5\n")
        for _ in range(random_source.randint(1, 6)):
            at = random_source.randrange(len(text))
            text[at : at + random_source.randint(0, 2)] = random_source.choice(alphabet)
        for syntax in ("yaml", "json", "toml") if turn % 10 == 0 else ("yaml",):
            try:
                document = parse("".join(text), syntax=syntax)
                document.problems(schema_of("pool")) if turn % 10 == 0 else None
                json.dumps(document.data).encode()
            except BadDocument:
                pass


@settings(deadline=None)
@given(st.binary(max_size=60) | st.text(max_size=60))
def test_any_input_gives_data_or_bad_document(text: bytes | str) -> None:
    for syntax in ("yaml", "json", "toml"):
        try:
            parse(text, syntax=syntax)
        except BadDocument as error:
            assert str(error).startswith("<text>:")
