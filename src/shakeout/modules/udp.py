"""UDP in pure Python: datagrams sent, and datagrams waited for."""

from __future__ import annotations

import contextlib
import select
import socket
import time
from collections import Counter
from typing import Any, TypedDict

from shakeout.errors import BadParameters, ModuleFailed
from shakeout.modules.base import BaseTestModule
from shakeout.modules.durations import Spread, spread
from shakeout.modules.endpoints import (
    MAX_PEERS,
    announce,
    bound,
    endpoint,
    plain_peer,
    reason,
    resolve,
    told,
)
from shakeout.params import (
    BoolParam,
    DurationParam,
    FloatParam,
    HostnameOrIpParam,
    IntParam,
    IpParam,
    StrParam,
)

#: The largest UDP payload over IPv4.
MAX_DATAGRAM = 65507


class UdpSendResult(TypedDict):
    """What UdpSend found.

    Keys:
        datagrams, sent: datagrams that were sent, and their bytes.
        answers, received: datagrams that came back as they should, and their bytes.
        loss: percent of the datagrams without an answer; None if none was waited for.
        answer_ms: how long the answers took, None if there was none.
        errors: sends or receives that failed, by reason ("Connection refused": nobody listens there).
    """

    datagrams: int
    sent: int
    answers: int
    received: int
    loss: float | None
    answer_ms: Spread | None
    errors: dict[str, int]


class UdpSend(BaseTestModule):
    """Send UDP datagrams, each *payload* and its number as padding up to *size* bytes.

    With *echo*, each is waited for to come back, and more than *max_loss* lost is a failure; without,
    only an error of the kernel is. The result is a `UdpSendResult`.

    Examples:
        >>> listener = m2.run(UdpListen(port=5000, datagrams=3, echo=True), bg=True)
        >>> listener.wait_output("listening on")
        <re.Match object; span=(0, 12), match='listening on'>
        >>> job = m1.run(UdpSend(dst=m2_address, port=5000, count=3, size=100, echo=True))
        >>> job.result["received"]
        300
    """

    result_units = {"loss": "%"}

    dst = HostnameOrIpParam(mandatory=True, desc="address or name to send to")
    port = IntParam(mandatory=True, minimum=1, maximum=65535)
    count = IntParam(default=1, minimum=1, desc="datagrams to send")
    interval = DurationParam(default=0.0, desc="from one datagram to the next")
    payload = StrParam(default="", desc="text at the beginning of each datagram")
    size = IntParam(default=0, minimum=0, maximum=MAX_DATAGRAM, desc="bytes of a datagram, at least the payload's")
    echo = BoolParam(default=False, desc="every datagram must come back")
    timeout = DurationParam(default=1.0, desc="how long to wait for each answer")
    max_loss = FloatParam(default=0.0, minimum=0.0, maximum=100.0, desc="percent of answers that may be lost")
    bind = IpParam(desc="address to send from")

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if len(self.payload.encode()) > MAX_DATAGRAM:
            raise BadParameters("UdpSend", [f"payload: expected at most {MAX_DATAGRAM} bytes"])

    def run(self) -> UdpSendResult:
        family, address = resolve(self.dst, self.port, socket.SOCK_DGRAM)
        result = UdpSendResult(datagrams=0, sent=0, answers=0, received=0, loss=None, answer_ms=None, errors={})
        self._res_data = result
        errors: Counter[str] = Counter()
        latencies: list[float] = []
        with socket.socket(family, socket.SOCK_DGRAM) as sock:
            try:
                if self.bind is not None:
                    sock.bind((str(self.bind), 0))
                sock.connect(address)
            except OSError as error:
                raise ModuleFailed(f"nothing was sent to {endpoint(address)}: {reason(error)}") from None
            begin = time.monotonic()
            for number in range(self.count):
                time.sleep(max(0.0, begin + number * self.interval - time.monotonic()))
                try:
                    self._send(sock, number, result, latencies)
                except OSError as error:
                    errors[reason(error)] += 1
            if not self.echo:
                self._late_errors(sock, errors)
        result["errors"], result["answer_ms"] = dict(errors), spread(latencies)
        self._judge(result, endpoint(address))
        return result

    def _send(self, sock: socket.socket, number: int, result: UdpSendResult, latencies: list[float]) -> None:
        data = self.payload.encode()
        data += (b"%08d" % number * (self.size // 8 + 1))[: max(0, self.size - len(data))]
        begin = time.monotonic()
        result["sent"] += sock.send(data)
        result["datagrams"] += 1
        while self.echo:
            left = begin + self.timeout - time.monotonic()
            if left < 0 or not select.select([sock], [], [], left)[0]:
                return
            if sock.recv(MAX_DATAGRAM + 1) == data:  # else it is a late answer to an earlier one
                latencies.append(time.monotonic() - begin)
                result["answers"] += 1
                result["received"] += len(data)
                return

    def _late_errors(self, sock: socket.socket, errors: Counter[str]) -> None:
        """Of the last datagram the kernel tells only afterwards that nobody wanted it."""
        number = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if number:
            errors[reason(OSError(number, _strerror(number)))] += 1

    def _judge(self, result: UdpSendResult, where: str) -> None:
        if self.echo:
            lost = self.count - result["answers"]
            loss = result["loss"] = 100.0 * lost / self.count
            if loss <= self.max_loss:
                return
            text = f"{lost} of {self.count} datagrams to {where} did not come back ({loss:.4g} %)"
            raise ModuleFailed(text + (f": {told(Counter(result['errors']))}" if result["errors"] else ""))
        if result["errors"]:
            raise ModuleFailed(f"datagrams to {where} failed: {told(Counter(result['errors']))}")


class UdpListenResult(TypedDict):
    """What UdpListen found.

    Keys:
        address, port: where it listened.
        datagrams, received: datagrams that came, and their bytes.
        sent: bytes sent back.
        peers: datagrams by sender, of the first 1000.
    """

    address: str
    port: int
    datagrams: int
    received: int
    sent: int
    peers: dict[str, int]


class UdpListen(BaseTestModule):
    r"""Listen on a UDP port until as many datagrams as wanted have come.

    Prints "listening on ADDRESS:PORT" once it does. The result is a `UdpListenResult`. In the background
    with ``datagrams=0``, ``job.kill(signal.SIGINT)`` ends it with what came so far.

    Examples:
        >>> listener = m2.run(UdpListen(datagrams=2, timeout=10), bg=True)
        >>> port = listener.wait_output(r"listening on .*:(\d+)")[1]
        >>> job = m1.run(UdpSend(dst=m2_address, port=port, count=2, payload="hello"))
        >>> listener.wait(timeout=10)
        True
        >>> listener.result["received"]
        10
    """

    address = IpParam(desc="address to listen on; all of them, IPv4 and IPv6, if not given")
    port = IntParam(default=0, minimum=0, maximum=65535, desc="0: any free one")
    datagrams = IntParam(default=1, minimum=0, desc="datagrams to wait for; 0: until stopped")
    timeout = DurationParam(desc="until all must have come; for ever if not given")
    echo = BoolParam(default=False, desc="send every datagram back")

    def run(self) -> UdpListenResult:
        result = UdpListenResult(address="", port=0, datagrams=0, received=0, sent=0, peers={})
        self._res_data = result
        with bound(self.address, self.port, socket.SOCK_DGRAM) as sock:
            result["address"], result["port"] = announce(sock)
            until = None if self.timeout is None else time.monotonic() + self.timeout
            try:
                while not self.datagrams or result["datagrams"] < self.datagrams:
                    left = None if until is None else until - time.monotonic()
                    if left is not None and left <= 0:
                        break
                    if select.select([sock], [], [], left)[0]:
                        self._receive(sock, result)
            except KeyboardInterrupt:
                stopped = "before it was stopped"
            else:
                stopped = f"within {self.timeout} s"
        if result["datagrams"] < self.datagrams:
            came = f"only {result['datagrams']} of {self.datagrams} datagrams came {stopped}"
            raise ModuleFailed(came)
        return result

    def _receive(self, sock: socket.socket, result: UdpListenResult) -> None:
        data, peer = sock.recvfrom(1 << 16)
        result["datagrams"] += 1
        result["received"] += len(data)
        peers, name = result["peers"], plain_peer(peer)
        if name in peers or len(peers) < MAX_PEERS:
            peers[name] = peers.get(name, 0) + 1
        if self.echo:
            with contextlib.suppress(OSError):  # the sender notices
                result["sent"] += sock.sendto(data, peer)


def _strerror(number: int) -> str:
    import os

    return os.strerror(number)
