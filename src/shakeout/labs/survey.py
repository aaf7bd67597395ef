"""How the hosts of pools are: all asked at once, and compared with what their files say of them."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import msgspec

from shakeout.errors import HostError, ShakeoutError
from shakeout.hosts.dialing import Access, Endpoint, dial, make_room
from shakeout.hosts.look import Look
from shakeout.matching.inventory import HostEntry, Port
from shakeout.wire.harmless import one_line
from shakeout.wire.parts import Reservation

#: Seconds that a host has to answer everything.
PATIENCE = 15.0
#: Hosts that are asked at the same time; of more, some are asked when others have answered.
_AT_ONCE = 500


class Sight(msgspec.Struct, frozen=True, kw_only=True):
    """What was seen of one host.

    Attributes:
        state: "free", "held" (by *holder*), "reserved" (and not held), or "unreachable" (*trouble* says why).
        differs: where it is not as its file says, in words.
        seconds: until it had answered everything.
        props: its properties, as its agent says them.
        inspection: as `shakeout.agent.inspection` describes it; empty if it cannot be inspected.
    """

    name: str
    pool: str
    state: Literal["free", "held", "reserved", "unreachable"]
    trouble: str = ""
    holder: str = ""
    reservation: Reservation | None = None
    release: str = ""
    differs: tuple[str, ...] = ()
    seconds: float = 0.0
    props: Mapping[str, Any] = {}
    inspection: Mapping[str, Any] = {}


def without_root(props: Mapping[str, Any]) -> str:
    """What a person should know of a host whose agent may not do everything; "" if it may."""
    if props.get("privileged") is not False:
        return ""
    return (
        f"its agent runs as {one_line(str(props.get('user', '?')), 40)}, not as root: it changes no devices or settings"
    )


def look_at(entry: HostEntry, access: Access, *, timeout: float = PATIENCE) -> Look:
    """Connect to a host and look at it, without taking it.

    Raises:
        HostError: nobody answers, or not to us.
        UsageError: what is needed on this side is not there.
    """
    try:
        transport = dial(entry.endpoint, access)
    except HostError as error:
        if error.host:
            raise
        raise type(error)(str(error), entry.name) from error
    return Look(entry.name, transport, timeout=timeout)


def survey(entries: Sequence[HostEntry], access: Access, *, timeout: float = PATIENCE) -> Iterator[Sight]:
    """Look at all hosts at the same time; each comes when it has answered, or has not within *timeout* seconds."""
    seen: queue.SimpleQueue[Sight] = queue.SimpleQueue()
    wanted: queue.SimpleQueue[HostEntry] = queue.SimpleQueue()
    missing = {entry.name: entry for entry in entries}
    for entry in missing.values():
        wanted.put(entry)

    def work() -> None:
        while True:
            try:
                entry = wanted.get_nowait()
            except queue.Empty:
                return
            seen.put(_sight(entry, access, timeout))

    at_once = make_room(min(len(missing), _AT_ONCE))
    for _ in range(at_once):
        # Not a pool of threads, which would wait for those that hang.
        threading.Thread(target=work, name="look", daemon=True).start()
    deadline = time.monotonic() + timeout * -(-len(missing) // at_once)
    while missing:
        try:
            sight = seen.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            break
        del missing[sight.name]
        yield sight
    for entry in missing.values():
        yield Sight(
            name=entry.name, pool=entry.pool, state="unreachable", trouble=f"it did not answer within {timeout:g} s",
            seconds=timeout,
        )  # fmt: skip


def differences(ports: Sequence[Port], inspection: Mapping[str, Any]) -> Iterator[str]:
    """Where a host's interfaces are not as its file says."""
    found = [one for one in inspection.get("interfaces", ()) if isinstance(one, dict)]
    # A bridge, a bond or a VLAN may have its card's address: the card is what the file means.
    found.sort(key=lambda one: (not one.get("physical"), bool(one.get("kind"))), reverse=True)
    by_hwaddr = {one.get("hwaddr", ""): one for one in found}
    by_name = {one.get("name", ""): one for one in found}
    for port in ports:
        link = by_hwaddr.get(port.hwaddr) if port.hwaddr else by_name.get(port.id)
        if link is None:
            yield _missing(port, by_name)
            continue
        if link.get("connection"):
            yield f"{port.id}: {link['name']} carries the connection to the host, so it cannot be tested with"
        driver, wanted = link.get("driver", ""), port.params.get("driver")
        if wanted is not None and driver and driver != wanted:
            yield f"{port.id}: the driver of {link['name']} is {driver}, its file says {wanted}"
        speed, wanted = link.get("speed"), port.params.get("speed")
        if isinstance(wanted, int | float) and isinstance(speed, int) and speed != wanted:
            yield f"{port.id}: {link['name']} runs at {speed} Mbit/s, its file says {wanted:g}"


def _missing(port: Port, by_name: Mapping[str, Mapping[str, Any]]) -> str:
    if not port.hwaddr:
        return f"{port.id}: the host has no interface of this name, and its file gives no hardware address"
    text = f"{port.id}: no interface of the host has the hardware address {port.hwaddr}"
    same = by_name.get(port.id)
    return f"{text}; {port.id} there has {same.get('hwaddr') or 'none'}" if same is not None else text


def _sight(entry: HostEntry, access: Access, timeout: float) -> Sight:
    """Look at one host; never raises."""
    began = time.monotonic()
    try:
        with look_at(entry, access, timeout=timeout) as look:
            inspection, differs = _inspected(entry, look)
            state: Literal["free", "held", "reserved"] = "reserved" if look.reservation is not None else "free"
            return Sight(
                name=entry.name, pool=entry.pool, state="held" if look.holder else state, holder=look.holder,
                reservation=look.reservation, release=look.release, differs=differs, props=look.props,
                inspection=inspection, seconds=time.monotonic() - began,
            )  # fmt: skip
    except Exception as error:  # noqa: BLE001 - whatever one host sends, the others are shown, too
        trouble = _reason(error, entry.name)
    return Sight(
        name=entry.name, pool=entry.pool, state="unreachable", trouble=trouble, seconds=time.monotonic() - began
    )


def _inspected(entry: HostEntry, look: Look) -> tuple[Mapping[str, Any], tuple[str, ...]]:
    try:
        inspection = look.inspect()
    except ShakeoutError as error:
        return {}, (f"it cannot be inspected: {_reason(error, entry.name)}",)
    return inspection, tuple(differences(entry.ports, inspection))


def _reason(error: Exception, name: str) -> str:
    """Why, without the name of the host, which stands beside it anyway."""
    if isinstance(error, HostError) and error.host == name:
        return error.reason
    return str(error) if isinstance(error, ShakeoutError) else f"{type(error).__name__}: {error}"


def way(endpoint: Endpoint) -> str:
    """How a host is reached, for people: "ssh root@dut1:22"."""
    return f"{endpoint.via} {endpoint.user + '@' if endpoint.user else ''}{endpoint.address}"
