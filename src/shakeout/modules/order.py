"""What an agent is told to run: a test module by name, its sources by hash, its state as plain data."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from shakeout.errors import ProtocolError
from shakeout.wire.plain import unpack


class SourceRef(msgspec.Struct, frozen=True, array_like=True):
    """One Python module that was shipped; its text went ahead as a message of its own.

    Attributes:
        name: the dotted name it is imported under.
        filename: where it lies on the controller; tracebacks name this.
        sha256: of its text, in hexadecimal.
        is_package: whether it is a package's `__init__`.
    """

    name: str
    filename: str
    sha256: str
    is_package: bool = False


class Provided(msgspec.Struct, frozen=True, array_like=True):
    """A test module that sources of the order import as `shakeout.modules.<name>`."""

    name: str
    module: str
    qualname: str


class ModuleOrder(msgspec.Struct, frozen=True, array_like=True):
    """Run one test module.

    Attributes:
        host: the host's name, for messages.
        module: dotted name of the Python module that the class lives in.
        qualname: the class in it.
        sources: all that was shipped for it; empty for a built-in module.
        provided: what `shakeout.modules` has beyond the built-in modules.
        state: packed; what `BaseTestModule.state()` gave.
        facts: packed; of the devices that the state refers to, by their places in this list; empty if there are none.
    """

    host: str
    module: str
    qualname: str
    sources: tuple[SourceRef, ...]
    provided: tuple[Provided, ...]
    state: bytes
    facts: bytes = b""


class State(msgspec.Struct, frozen=True, array_like=True):
    """The state of a test module: converted parameters, and the instance's other attributes."""

    params: dict[str, Any]
    attributes: dict[str, Any]


encode_order: Final = msgspec.msgpack.Encoder().encode
_decoder: Final = msgspec.msgpack.Decoder(ModuleOrder)


def decode_order(data: bytes) -> ModuleOrder:
    """The order that *data* stands for.

    Raises:
        ProtocolError: it is no order.
    """
    try:
        return _decoder.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ProtocolError(f"no order for a test module: {error}") from None


def decode_state(order: ModuleOrder) -> State:
    """The state that comes with *order*.

    Raises:
        ProtocolError: it is no state.
    """
    pair = unpack(order.state)
    if type(pair) is list and len(pair) == 2 and type(pair[0]) is dict and type(pair[1]) is dict:
        if order.facts:
            from shakeout.modules.devicefacts import with_facts

            pair = with_facts(pair, unpack(order.facts))
        return State(*pair)
    raise ProtocolError(f"the order for {order.qualname} has no state")
