"""DnsServe: a small name server for tests, with given records, and with faults where they are wanted."""

from __future__ import annotations

from typing import Any, TypedDict

from shakeout.errors import BadParameters, ModuleFailed
from shakeout.modules.base import BaseTestModule
from shakeout.params import BoolParam, DictParam, DurationParam, FloatParam, IntParam, IpParam, StrParam


class DnsServeResult(TypedDict):
    """What DnsServe found.

    Keys:
        address, port: where it listened, UDP and TCP.
        queries: that came and were understood; tcp: those of them that came over TCP.
        dropped: queries that were left without an answer, as wanted.
        garbage: datagrams, and connections, of what is no query.
        names: queries by name and type ("www.example A"), of the first 1000.
        rcodes: answers by response code.
    """

    address: str
    port: int
    queries: int
    tcp: int
    dropped: int
    garbage: int
    names: dict[str, int]
    rcodes: dict[str, int]


class DnsServe(BaseTestModule):
    """Answer DNS queries over UDP and TCP from given records, until it is stopped.

    Prints "listening on ADDRESS:PORT" once it does. *records* gives for each name (``*.example``: for
    all names below that have no own) the types and their data, one text or a list, as in a zone file:
    ``{"example": {"MX": "10 mail.example", "A": ["10.0.0.1", "10.0.0.2"]}}``. An alias (CNAME) is
    followed. A name that is not there is answered NXDOMAIN. The result is a `DnsServeResult`.
    ``job.kill(signal.SIGINT)`` ends it with what came so far.

    Examples:
        >>> server = m2.run(DnsServe(records={"a.example": {"CNAME": "b.example"}}, queries=1), bg=True)
        >>> port = server.wait_output(r"listening on .*:(\\d+)")[1]
        >>> job = m1.run(DnsLookup(name="a.example", type="CNAME", server=m2_address, port=port, expect=["b.example"]))
        >>> server.wait(timeout=10)
        True
        >>> server.result["names"]
        {'a.example CNAME': 1}
    """

    address = IpParam(desc="address to listen on; all of them, IPv4 and IPv6, if not given")
    port = IntParam(default=0, minimum=0, maximum=65535, desc="0: any free one")
    records = DictParam(default={}, desc="name -> type -> data, or a list of such")
    ttl = IntParam(default=60, minimum=0, maximum=2**31 - 1, desc="seconds for which answers may be kept")
    rcode = StrParam(desc="answer everything with this response code, as SERVFAIL")
    delay = DurationParam(default=0.0, maximum="1h", desc="how long each answer is kept back")
    drop = FloatParam(default=0.0, minimum=0.0, maximum=100.0, desc="percent of the UDP queries to leave unanswered")
    truncate = BoolParam(default=False, desc="cut every UDP answer off, so that TCP must be used")
    queries = IntParam(default=0, minimum=0, desc="queries to answer; 0: until stopped")
    timeout = DurationParam(minimum=0.001, desc="until all must have come; for ever if not given")

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        problems = list(self._problems())
        if problems:
            raise BadParameters("DnsServe", problems)

    def _problems(self) -> Any:
        from shakeout.modules.dns.message import rcode_number
        from shakeout.modules.dns.zone import Zone

        if self.timeout is not None and not self.queries:
            yield "timeout needs queries; a server without an end is stopped"
        if self.rcode is not None:
            try:
                rcode_number(self.rcode)
            except ValueError as error:
                yield f"rcode: {error}"
        yield from Zone(self.records, self.ttl).problems

    def run(self) -> DnsServeResult:
        from shakeout.modules.dns.server import Server, sockets

        result = DnsServeResult(
            address="", port=0, queries=0, tcp=0, dropped=0, garbage=0, names={}, rcodes={}
        )  # fmt: skip
        self._res_data = result
        with sockets(self.address, self.port) as (datagrams, listener), Server(self, datagrams, listener) as server:
            stopped = server.serve(result)
        answered = result["queries"] - result["dropped"]
        if answered < self.queries:
            why = "before it was stopped" if stopped else f"within {self.timeout:g} s"
            raise ModuleFailed(f"only {answered} of {self.queries} queries came {why}")
        return result
