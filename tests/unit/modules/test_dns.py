"""DNS names, records and messages: there and back, as the RFCs have them, and hostile ones."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shakeout.errors import BadParameters
from shakeout.modules import DnsLookup, DnsServe
from shakeout.modules.dns.message import Message, Question, Record, decode, encode, rcode_name, rcode_number
from shakeout.modules.dns.names import decode_name, encode_name, labels_of, same_name, text_of
from shakeout.modules.dns.records import decode_data, encode_data, type_name, type_number
from shakeout.modules.dns.zone import Zone

LABELS = st.lists(st.binary(min_size=1, max_size=63), max_size=6).filter(lambda parts: sum(map(len, parts)) < 240)
NAMES = LABELS.map(text_of)
WORDS = st.text(alphabet=st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=20)
SIXTEEN = st.integers(0, 65535)
THIRTY_TWO = st.integers(0, 2**32 - 1)
DATA = st.one_of(
    st.tuples(st.just("A"), st.ip_addresses(v=4).map(str)),
    st.tuples(st.just("AAAA"), st.ip_addresses(v=6).map(str)),
    st.tuples(st.sampled_from(["NS", "CNAME", "PTR"]), NAMES),
    st.tuples(st.just("MX"), st.builds("{} {}".format, SIXTEEN, NAMES)),
    st.tuples(st.just("SRV"), st.builds("{} {} {} {}".format, SIXTEEN, SIXTEEN, SIXTEEN, NAMES)),
    st.tuples(st.just("SOA"), st.builds("{} {} {} {} {} {} {}".format, NAMES, NAMES, *[THIRTY_TWO] * 5)),
    st.tuples(st.just("TYPE65280"), st.binary(min_size=1, max_size=30).map(lambda b: f"\\# {len(b)} {b.hex()}")),
)
RECORDS = st.builds(lambda name, data, ttl: Record(name, data[0], ttl, data[1]), NAMES, DATA, st.integers(0, 2**31 - 1))
MESSAGES = st.builds(
    Message, SIXTEEN, st.none() | st.builds(Question, NAMES, st.sampled_from(["A", "MX", "TYPE99"])),
    st.booleans(), st.integers(0, 15), st.booleans(), st.booleans(), st.booleans(), st.booleans(),
    st.sampled_from(["NOERROR", "NXDOMAIN", "RCODE11"]), st.lists(RECORDS, max_size=4).map(tuple),
    st.lists(RECORDS, max_size=2).map(tuple), st.lists(RECORDS, max_size=2).map(tuple), st.none() | SIXTEEN,
)  # fmt: skip


def canonical(message: Message) -> Message:
    """*message* with names in lower case, since pointers may lead to another spelling of the same."""

    def low(record: Record) -> Record:
        texts = record.data if record.kind.startswith("TYPE") else record.data.lower()
        return record._replace(name=record.name.lower(), data=texts)

    answers, authority, additional = (
        tuple(map(low, section)) for section in (message.answers, message.authority, message.additional)
    )
    return message._replace(answers=answers, authority=authority, additional=additional)


@given(LABELS)
def test_every_name_has_a_text_and_comes_back(labels: list[bytes]) -> None:
    name = text_of(labels)
    assert labels_of(name) == labels
    assert name.isascii()
    message = bytearray(b"xx")
    encode_name(name, message, None)
    assert decode_name(bytes(message), 2) == (name, len(message))


@given(MESSAGES)
def test_every_message_comes_back(message: Message) -> None:
    assert canonical(decode(encode(message))) == canonical(message)


@given(st.text(max_size=40))
def test_every_text_comes_back(text: str) -> None:
    message = bytearray()
    encode_data("TXT", text.replace('"', "").replace("\\", ""), message)
    shown = decode_data(16, bytes(message), 0, len(message))
    again = bytearray()
    encode_data("TXT", shown, again)
    assert again == message


@given(st.binary(max_size=80), MESSAGES, st.integers(0, 400), st.integers(0, 255))
def test_no_bytes_make_it_stumble(data: bytes, message: Message, at: int, byte: int) -> None:
    whole = bytearray(encode(message))
    whole[at % len(whole)] = byte
    for hostile in (data, bytes(whole), bytes(whole[: at % len(whole)])):
        try:
            found = decode(hostile)
        except ValueError:
            continue
        canonical(decode(encode(found)))


def test_pointers_are_followed_as_in_rfc_1035() -> None:
    # Its example of 4.1.4: F.ISI.ARPA, FOO.F.ISI.ARPA, ARPA and the root.
    message = (
        bytes(20) + b"\1F\3ISI\4ARPA\0" + bytes(8) + b"\3FOO\xc0\x14" + bytes(18) + b"\xc0\x1a" + bytes(26) + b"\0"
    )
    assert decode_name(message, 20) == ("F.ISI.ARPA", 32)
    assert decode_name(message, 40) == ("FOO.F.ISI.ARPA", 46)
    assert decode_name(message, 64) == ("ARPA", 66)
    assert decode_name(message, 92) == (".", 93)
    places: dict[tuple[bytes, ...], int] = {}
    short = bytearray()
    for name in ("f.isi.arpa", "foo.F.ISI.ARPA", "ARPA", "."):
        encode_name(name, short, places)
    assert bytes(short) == b"\1f\3isi\4arpa\0\3foo\xc0\0\xc0\6\0"


@pytest.mark.parametrize(
    "message",
    [
        b"\xc0\0",  # to itself
        b"\1a\xc0\0",  # a loop around a label
        b"\xc0\2\xc0\0",  # two that point at each other
        b"\xc0\4\0\0\0",  # forward
        b"\xc0",
        b"\5ab",
        b"\x80a\0",
        b"\x40a\0",
        (b"\x3f" + b"x" * 63) * 4 + b"\0",  # 257 bytes
    ],
)
def test_names_without_an_end_are_refused(message: bytes) -> None:
    with pytest.raises(ValueError):
        decode_name(message, 0)


def test_a_message_of_pointers_takes_no_time() -> None:
    # Each record's name is a pointer to the one before: a reader that follows them all has 65,000 squared to do.
    chain = b"\0" + b"".join(struct.pack("!HHHIH", 0xC000 | max(12, 12 * at), 1, 1, 0, 0) for at in range(1, 1000))
    data = struct.pack("!6H", 1, 0x8000, 0, 5400, 0, 0) + chain
    with pytest.raises(ValueError):
        decode(data)


def test_a_message_of_the_wire_is_read() -> None:
    data = bytes.fromhex(
        "1a2b8583000100010001000103777777076578616d706c6503636f6d0000010001c00c00010001000000"
        "3c0004c0000201c0100002000100000e100006036e7331c01000002904d0010000000000"
    )
    message = decode(data)
    assert message.id == 0x1A2B
    assert message.question == Question("www.example.com", "A")
    assert message.answers == (Record("www.example.com", "A", 60, "192.0.2.1"),)
    assert message.authority == (Record("example.com", "NS", 3600, "ns1.example.com"),)
    assert (message.edns, message.rcode) == (1232, rcode_name(3 | 1 << 4))
    assert (message.response, message.authoritative, message.truncated) == (True, True, False)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("A", "10.0.0"), ("A", "::1"), ("AAAA", "10.0.0.1"), ("MX", "mail"), ("MX", "70000 mail"), ("SRV", "1 2 x"),
        ("SOA", "a b 1 2 3 4"), ("NS", "a..b"), ("NS", "a b"), ("CAA", "0 issue"), ("CAA", '0 a-b "x"'),
        ("TXT", '"open'), ("TXT", '"\\999"'), ("HINFO", "one"), ("TYPE99", "x"), ("A", "\\# 3 0a00"), ("ANY", "x"),
    ],
)  # fmt: skip
def test_data_that_is_none_is_refused(kind: str, text: str) -> None:
    with pytest.raises(ValueError, match="is no data of a record of type"):
        encode_data(kind, text, bytearray())


def test_other_types_have_their_texts() -> None:
    for kind, text in {"CAA": '0 issue "ca.example"', "HINFO": '"PC" "Linux \\"x\\""', "TXT": '"a" "b\\009"'}.items():
        message = bytearray()
        encode_data(kind, text, message)
        assert decode_data(type_number(kind), bytes(message), 0, len(message)) == text
    long = bytearray()
    encode_data("TXT", "x" * 300, long)
    assert decode_data(16, bytes(long), 0, len(long)) == f'"{"x" * 255}" "{"x" * 45}"'


def test_names_of_types_and_codes() -> None:
    assert (type_number("aaaa"), type_number("TYPE99"), type_name(99)) == (28, 99, "TYPE99")
    assert (rcode_number("nxdomain"), rcode_number("RCODE100"), rcode_name(100)) == (3, 100, "RCODE100")
    assert same_name("WWW.example.", "www.Example")
    with pytest.raises(ValueError, match="AAAA"):
        type_number("AAA")
    with pytest.raises(ValueError, match="NXDOMAIN"):
        rcode_number("NXDOMAINE")


def ask(zone: Zone, name: str, kind: str, **options: Any) -> Message:
    return decode(zone.answer(Message(7, Question(name, kind), edns=4096), options.pop("limit", 4096), **options))


def test_a_zone_answers() -> None:
    zone = Zone(
        {
            "Example": {"MX": "10 mail.example", "TXT": "hello"},
            "a.example": {"A": ["10.0.0.1", "10.0.0.2"]},
            "alias.example": {"CNAME": "a.example"},
            "loop.example": {"CNAME": "loop.example"},
            "dangling.example": {"CNAME": "none.example"},
            "*.wild.example": {"A": "10.0.0.9"},
            "big.example": {"TXT": "x" * 3000},
        },
        60,
    )
    assert not zone.problems
    assert [record.data for record in ask(zone, "A.Example", "A").answers] == ["10.0.0.1", "10.0.0.2"]
    assert [record.kind for record in ask(zone, "alias.example", "A").answers] == ["CNAME", "A", "A"]
    assert [record.kind for record in ask(zone, "alias.example", "CNAME").answers] == ["CNAME"]
    assert ask(zone, "dangling.example", "A").rcode == "NOERROR"
    assert len(ask(zone, "loop.example", "A").answers) == 9
    assert ask(zone, "x.y.wild.example", "A").answers[0].name == "x.y.wild.example"
    assert ask(zone, "none.example", "A").rcode == "NXDOMAIN"
    assert (ask(zone, "example", "A").rcode, ask(zone, "example", "A").answers) == ("NOERROR", ())
    assert {record.kind for record in ask(zone, "example", "ANY").answers} == {"MX", "TXT"}
    assert ask(zone, "big.example", "TXT", limit=512).truncated
    assert ask(zone, "a.example", "A", truncate=True).truncated
    assert ask(zone, "a.example", "A", rcode="SERVFAIL").rcode == "SERVFAIL"
    assert decode(zone.answer(Message(1, None), 512)).rcode == "FORMERR"
    assert decode(zone.answer(Message(1, Question("a", "A"), opcode=4), 512)).rcode == "NOTIMP"


@pytest.mark.parametrize(
    ("records", "said"),
    [
        ({"a": "10.0.0.1"}, "expected a dict"),
        ({"a..b": {}}, "no domain name"),
        ({"a": {"AA": "x"}}, "no record type 'AA'"),
        ({"a": {"A": "x"}}, "an IPv4 address"),
        ({"a": {"A": [1]}}, "expected text"),
    ],
)
def test_bad_records_are_refused(records: dict[str, Any], said: str) -> None:
    with pytest.raises(BadParameters, match=said):
        DnsServe(records=records)


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"name": "a..b"}, "no domain name"),
        ({"type": "MXX", "server": "::1"}, "did you mean|MX"),
        ({"type": "MX"}, "needs server"),
        ({"type": "PTR"}, "takes an address"),
        ({"rcode": "NX"}, "response code"),
        ({"expect": ["1.1.1.1"], "contains": ["1.1.1.1"]}, "contradict"),
        ({"expect": ["1.1.1.1"], "rcode": "NXDOMAIN"}, "no answers"),
    ],
)
def test_bad_lookups_are_refused(params: dict[str, Any], said: str) -> None:
    with pytest.raises(BadParameters, match=said):
        DnsLookup(**{"name": "a.example", **params})
