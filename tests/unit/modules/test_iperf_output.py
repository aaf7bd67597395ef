"""What is understood of iperf3's JSON: outputs of the real program in `iperf/`, and anything at all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shakeout.errors import BadParameters
from shakeout.modules import IperfClient, IperfServer
from shakeout.modules.iperf_output import deviation, documents, intervals, read_test

CAPTURES = Path(__file__).with_name("iperf")


def read(name: str) -> list[Any]:
    return [read_test(document) for document in documents((CAPTURES / f"{name}.json").read_text())]


def test_a_client_knows_both_ends() -> None:
    [test] = read("client-tcp")
    assert (test["protocol"], test["reverse"], test["back"], test["error"]) == ("tcp", False, None, None)
    assert test["sent_bytes"] == test["received_bytes"] == 3006791680
    assert test["sent_bps"] == pytest.approx(8 * 3006791680 / test["seconds"], rel=0.01)
    assert (test["retransmits"], test["rtt_ms"], test["congestion"]) == (2, 0.038, "bbr")
    assert test["cpu_local"] > test["cpu_remote"] > 0
    assert test["uncertainty_bps"] == pytest.approx(1.31e9, rel=0.01)


def test_streams_add_up() -> None:
    [test] = read("client-streams")
    assert len(test["streams"]) == 2
    assert sum(stream["sent_bytes"] for stream in test["streams"]) == test["sent_bytes"]
    assert sum(stream["retransmits"] for stream in test["streams"]) == test["retransmits"] == 9


def test_loss_of_datagrams_is_the_same_at_both_ends() -> None:
    [client], [server] = read("client-udp-loss"), read("server-udp-loss")
    for test in (client, server):
        assert (test["datagrams"], test["lost"], test["loss"], test["out_of_order"]) == (20, 2, 10.0, 0)
        assert (test["received_bytes"], test["retransmits"]) == (589824, None)
        assert 0 < test["jitter_ms"] < 1
        assert test["streams"][0]["loss"] == 10.0
    assert (client["sent_bytes"], server["sent_bytes"]) == (655360, None)


def test_reverse_is_the_way_from_the_server() -> None:
    [client], [server] = read("client-reverse"), read("server-reverse")
    assert client["reverse"]
    assert server["reverse"]
    assert client["sent_bytes"] == server["sent_bytes"]
    assert (client["received_bytes"], server["received_bytes"]) == (2786328576, None)
    [datagrams] = read("client-udp-reverse")
    assert (datagrams["datagrams"], datagrams["lost"], len(datagrams["streams"])) == (40, 0, 2)


def test_both_ways_are_told_apart() -> None:
    [client], [server], [datagrams] = read("client-bidir"), read("server-bidir"), read("client-udp-bidir")
    assert (client["sent_bytes"], client["received_bytes"]) == (1378877440, 1372848128)
    assert (client["back"]["sent_bytes"], client["back"]["received_bytes"]) == (689438720, 688258928)
    assert (len(client["streams"]), len(client["back"]["streams"])) == (1, 1)
    assert (server["sent_bytes"], server["received_bytes"]) == (None, 1372848128)
    assert (server["back"]["sent_bytes"], server["back"]["received_bytes"]) == (689438720, None)
    assert (datagrams["datagrams"], datagrams["back"]["datagrams"]) == (8, 8)


def test_warm_up_lies_before_the_start() -> None:
    [document] = documents((CAPTURES / "client-omit.json").read_text())
    assert [part.start < 0 for part in intervals(document)] == [True, False]
    assert read("client-omit")[0]["seconds"] == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize(
    ("name", "error", "seconds"),
    [
        ("client-interrupted", "interrupt - the client has terminated", 1.5),
        ("client-server-ended", "the server has terminated", 1.0),
        ("client-server-killed", "control socket has closed unexpectedly", 1.0),
    ],
)
def test_what_was_cut_off_counts_as_far_as_it_went(name: str, error: str, seconds: float) -> None:
    [test] = read(name)
    assert test["error"] == error
    assert test["seconds"] == pytest.approx(seconds, abs=0.01)
    assert test["sent_bps"] == pytest.approx(8 * test["sent_bytes"] / seconds, rel=0.01)
    assert (test["received_bps"], test["cpu_remote"], test["streams"]) == (None, None, [])


def test_a_server_tells_each_client_and_that_it_was_stopped() -> None:
    first, second, stopped = read("server-two-clients")
    assert first["received_bytes"] != second["received_bytes"]
    assert stopped is None
    assert read("client-refused") == [None]


@pytest.mark.parametrize("name", ["client-tcp", "client-bidir", "client-udp-loss", "client-interrupted"])
def test_a_stream_of_events_says_the_same(name: str) -> None:
    [document] = documents((CAPTURES / f"{name}.json").read_text())
    lines = [{"event": "start", "data": document["start"]}]
    lines += [{"event": "interval", "data": part} for part in document["intervals"]]
    lines += [{"event": key, "data": document[key]} for key in ("error", "end") if key in document]
    text = "warning: something\n" + "\n".join(json.dumps(line) for line in lines)
    [again] = documents(text + '\n{"event":"sta')
    assert again == document
    assert [read_test(again)] == read(name)


NUMBERS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3)
KEYS = st.sampled_from(
    [
        *("start", "intervals", "end", "event", "data", "error", "sum", "sum_sent", "sum_received", "streams"),
        *("sender", "receiver", "udp", "test_start", "omit", "seconds", "bytes", "bits_per_second", "omitted"),
        *("lost_packets", "packets", "sum_bidir_reverse", "cpu_utilization_percent"),
    ]
)
ANYTHING = st.recursive(
    NUMBERS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner), max_leaves=20
)


@given(st.dictionaries(KEYS, ANYTHING))
def test_no_document_makes_it_stumble(document: dict[str, Any]) -> None:
    document["start"] = {"test_start": {"protocol": "UDP"}}
    for entry in [document, *documents(json.dumps(document))]:
        read_test(entry)
        intervals(entry)


@given(st.text(alphabet='{}[]":,\n e1', max_size=60))
def test_no_text_makes_it_stumble(text: str) -> None:
    documents(text)


def test_deviation() -> None:
    assert deviation([]) is deviation([5.0]) is None
    assert deviation([1.0, 3.0]) == pytest.approx(2**0.5)


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"reverse": True, "bidirectional": True}, "contradict"),
        ({"protocol": "udp", "congestion": "cubic"}, "congestion is for protocol=tcp"),
        ({"protocol": "udp", "length": 8}, "16 to 65507"),
        ({"family": 6}, "is an IPv4 address"),
        ({"bind": "fd00::1"}, "traffic to 10.0.0.2 is IPv4"),
        ({"cport": 65535, "streams": 2}, "as many ports"),
        ({"congestion": "-x"}, "congestion"),
        ({"duration": 0}, "duration"),
        ({"port": 0}, "port"),
    ],
)
def test_bad_parameters_are_refused(params: dict[str, Any], said: str) -> None:
    with pytest.raises(BadParameters, match=said):
        IperfClient(dst="10.0.0.2", **params)


def test_a_timeout_needs_an_end() -> None:
    with pytest.raises(BadParameters, match="oneoff"):
        IperfServer(oneoff=False, timeout=3)


def test_parameters_become_options() -> None:
    client = IperfClient(
        dst="10.0.0.2", duration=3, omit=1, streams=4, rate="5e6", reverse=True, length=1400, window=65536, mss=1400,
        bind="10.0.0.1", cport=7000, congestion="cubic", zerocopy=True, nodelay=True, tos=16, cpu=1, server_cpu=0,
        options=["--dont-fragment"],
    )  # fmt: skip
    line = " ".join(client.command())
    for part in (
        "--client 10.0.0.2 --json", "--time 3", "--omit 1", "--parallel 4", "--bitrate 5000000", "--reverse",
        "--length 1400", "--window 65536", "--set-mss 1400", "--bind 10.0.0.1", "--cport 7000", "--congestion cubic",
        "--zerocopy", "--no-delay", "--tos 16", "--affinity 1,0", "--dont-fragment",
    ):  # fmt: skip
        assert f"{part} " in line + " "
    assert IperfClient(dst="fd00::2", protocol="udp", family=6).command()[-2:] == ["--udp", "-6"]
    assert "--json-stream" in IperfServer(bind="::1", cpu=0).command(live=True)
