"""Plain data that travels between controller and agent: packed, and checked when unpacked.

What survives exactly: None, bool, int (of up to 4,200 digits), float (nan and the infinities, too), str (lone
surrogates, too), bytes, list, tuple, dict with any plain key, set, frozenset, the six classes of
`ipaddress`, `Path` and `PurePosixPath`, `datetime` (naive, or with a fixed offset), `timedelta`, and
`DeviceRef`, which stands for a device of the host. Subclasses of these do not travel: they would
come back as something else.

On the wire this is msgpack; what msgpack does not know is an extension whose payload is again a
packed value. Decoding builds values of these types and nothing else, so that no code is ever run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec
from msgspec.msgpack import Decoder, Encoder, Ext

from shakeout.errors import CannotTravel, ProtocolError

#: The largest packed value, in bytes.
MAX_BYTES: Final = 64 * 1024 * 1024
#: How many containers may lie within each other.
MAX_DEPTH: Final = 64
#: The largest int, in bits: Python refuses to print those of more than 4,300 digits, so one of them, sent by
#: a host, would be an exception wherever it is shown.
MAX_INT_BITS: Final = 14_000
#: Named in every refusal.
ACCEPTED: Final = (
    "None, bool, int, float, str, bytes, list, tuple, dict, set, frozenset, ipaddress objects, Path, "
    "datetime with a fixed offset, timedelta"
)

_INT, _STR, _TUPLE, _DICT, _SET, _FROZENSET, _IP, _PATH, _DATETIME, _TIMEDELTA, _DEVICE = range(1, 12)

_IP_NAMES: Final = (
    "IPv4Address", "IPv6Address", "IPv4Interface", "IPv6Interface", "IPv4Network", "IPv6Network",
)  # fmt: skip

# Scalars that msgpack carries as they are. Nearly every int and str is one of them: the first attempt
# takes that for granted, and only if the encoder objects is each one looked at.
_ALWAYS_ATOMS: Final = frozenset({type(None), bool, float, bytes})
_MOSTLY_ATOMS: Final = _ALWAYS_ATOMS | {int, str}
_CONTAINERS: Final = frozenset({list, tuple, dict, set, frozenset})

_encode: Final = Encoder().encode


class DeviceRef(msgspec.Struct, frozen=True):
    """A device of the host that the value is sent to, or comes from."""

    #: The number that the host's agent gave the device.
    id: int


class _NotPlain(Exception):
    """A value is no plain data; the place is found out afterwards."""


def pack(value: object, *, where: str = "value", limit: int = MAX_BYTES) -> bytes:
    """The packed form of *value*.

    Args:
        where: what the value is, for messages: "state" gives "state['x'][3] is a Socket; …".
        limit: the most bytes that the packed form may have.

    Raises:
        CannotTravel: the value, or something in it, is no plain data, or it is too large.
    """
    try:
        packed = _pack(value)
    except _NotPlain:
        raise CannotTravel(_refusal(value, where)) from None
    if len(packed) > limit:
        raise CannotTravel(
            f"{where} is too large to travel: {len(packed)} bytes packed, the limit is {limit}; "
            "write it to a file and fetch that with recv_file()"
        )
    return packed


def unpack(data: bytes | bytearray | memoryview, *, limit: int = MAX_BYTES) -> Any:
    """The value that *data*, a result of `pack`, stands for.

    Raises:
        ProtocolError: the data is no packed value, is longer than *limit* bytes, or nests more
            than MAX_DEPTH containers. No other exception is raised, whatever the data is.
    """
    if len(data) > limit:
        raise ProtocolError(f"a packed value of {len(data)} bytes is longer than the limit of {limit}")
    try:
        value = _decoder(0).decode(data)
    except (msgspec.MsgspecError, ValueError, TypeError, OverflowError, RecursionError, MemoryError) as error:
        raise ProtocolError(f"{len(data)} bytes are no packed value: {error}") from None
    if type(value) in _CONTAINERS and len(data) > MAX_DEPTH and _too_deep(value):
        raise ProtocolError(f"a packed value nests more than {MAX_DEPTH} containers")
    return value


def _pack(value: object) -> bytes:
    try:
        return _encode(_encodable(value, _MOSTLY_ATOMS, 0))
    except (OverflowError, UnicodeEncodeError):
        return _encode(_encodable(value, _ALWAYS_ATOMS, 0))


def _encodable(value: Any, atoms: frozenset[type], depth: int) -> Any:
    """*value* with everything that msgpack cannot carry replaced by extensions."""
    kind = type(value)
    if kind in atoms:
        return value
    if kind in _CONTAINERS:
        if depth >= MAX_DEPTH:
            raise _NotPlain
        return _container(kind, value, atoms, depth + 1)
    if kind is int:
        if -(1 << 63) <= value < 1 << 64:
            return value
        if value.bit_length() > MAX_INT_BITS:
            raise _NotPlain
        return Ext(_INT, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True))
    if kind is str:
        return value if _is_utf8(value) else Ext(_STR, value.encode("utf-8", "surrogatepass"))
    return _leaf(kind, value)


def _container(kind: type, value: Any, atoms: frozenset[type], depth: int) -> Any:
    if kind is dict:
        plain_values = atoms.issuperset(map(type, value.values()))
        if atoms.issuperset(map(type, value)):
            return value if plain_values else {k: _encodable(v, atoms, depth) for k, v in value.items()}
        return Ext(_DICT, _encode([_encodable(part, atoms, depth) for item in value.items() for part in item]))
    items = value if atoms.issuperset(map(type, value)) else [_encodable(v, atoms, depth) for v in value]
    if kind is list:
        return items
    code = _TUPLE if kind is tuple else _SET if kind is set else _FROZENSET
    return Ext(code, _encode(list(items)))


def _leaf(kind: type, value: Any) -> Ext:
    if kind is DeviceRef:
        return Ext(_DEVICE, _encode(value.id))
    # Looked up on the class: an instance may answer to any name.
    reference = getattr(kind, "_shakeout_ref", None)
    if reference is not None:
        device = reference(value)
        return _leaf(DeviceRef, device if type(device) is DeviceRef else DeviceRef(device))
    module = str(kind.__module__).partition(".")[0]  # pathlib._local in some versions
    code = _LEAF_MODULES.get(module)
    if code is None or kind not in code[0]():
        raise _NotPlain
    return code[1](value)


def _ip_classes() -> tuple[type, ...]:
    import ipaddress

    return tuple(getattr(ipaddress, name) for name in _IP_NAMES)


def _path_classes() -> tuple[type, ...]:
    import pathlib

    return (pathlib.PosixPath, pathlib.PurePosixPath)


def _time_classes() -> tuple[type, ...]:
    import datetime

    return (datetime.datetime, datetime.timedelta)


def _pack_ip(value: Any) -> Ext:
    return Ext(_IP, bytes((_ip_classes().index(type(value)),)) + str(value).encode())


def _pack_path(value: Any) -> Ext:
    pure = type(value).__name__.startswith("Pure")
    return Ext(_PATH, (b"p" if pure else b"P") + str(value).encode("utf-8", "surrogatepass"))


def _pack_time(value: Any) -> Ext:
    import datetime

    if type(value) is datetime.timedelta:
        return Ext(_TIMEDELTA, _encode((value.days, value.seconds, value.microseconds)))
    zone: list[Any] = []
    if value.tzinfo is not None:
        if type(value.tzinfo) is not datetime.timezone:
            raise _NotPlain
        offset = value.utcoffset()
        zone = [offset.days, offset.seconds, offset.microseconds]
        if value.tzinfo != datetime.UTC and value.tzname() != datetime.timezone(offset).tzname(None):
            zone.append(value.tzname())
    return Ext(_DATETIME, _encode([value.replace(tzinfo=None).isoformat(), value.fold, *zone]))


_LEAF_MODULES: Final[dict[str, tuple[Callable[[], tuple[type, ...]], Callable[[Any], Ext]]]] = {
    "ipaddress": (_ip_classes, _pack_ip),
    "pathlib": (_path_classes, _pack_path),
    "datetime": (_time_classes, _pack_time),
}


def _is_utf8(text: str) -> bool:
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


# --- what is wrong with a value that was refused


def _refusal(value: object, where: str) -> str:
    place, culprit, depth = _culprit(value, where, 0) or (where, value, 0)
    if depth >= MAX_DEPTH:
        return f"{where} nests more than {MAX_DEPTH} containers, or contains itself (at {place[:100]}…); flatten it"
    kind = type(culprit)
    if isinstance(culprit, type):
        what = f"the class {culprit.__name__}"
    else:
        what = f"{'an' if kind.__name__[:1] in 'AEIOUaeiou' else 'a'} {kind.__name__}"
    text = f"{place} is {what}; only plain data travels: {ACCEPTED}"
    if kind is int:
        return f"{place} is an int of more than {MAX_INT_BITS} bits, too large to travel"
    base = next((b for b in kind.__mro__[1:] if b in _CONTAINERS or b in _MOSTLY_ATOMS), None)
    if hasattr(kind, "__members__"):
        return text + "; send its .value"
    if base is not None:
        return text + f"; convert it with {base.__name__}(…)"
    if hasattr(kind, "__dataclass_fields__"):
        return text + "; convert it with dataclasses.asdict(…)"
    if kind.__module__.partition(".")[0] == "numpy":
        return text + "; convert it with .item() or .tolist()"
    if kind.__module__ == "datetime" and hasattr(kind, "astimezone"):
        return text + "; convert it with .astimezone(timezone.utc)"
    return text


def _culprit(value: Any, place: str, depth: int) -> tuple[str, object, int] | None:
    """Where the first value that is no plain data lies, that value, and how deep."""
    if type(value) not in _CONTAINERS:
        try:
            _encodable(value, _ALWAYS_ATOMS, 0)
        except _NotPlain:
            return place, value, depth
        return None
    if depth >= MAX_DEPTH:
        return place, value, depth
    for inner_place, inner in _children(value, place):
        found = _culprit(inner, inner_place, depth + 1)
        if found is not None:
            return found
    return None


def _children(value: Any, place: str) -> Iterator[tuple[str, object]]:
    if type(value) is dict:
        for key, inner in value.items():
            yield f"a key of {place}", key
            yield f"{place}[{_short(key)}]", inner
    elif type(value) in (list, tuple):
        for index, inner in enumerate(value):
            yield f"{place}[{index}]", inner
    else:
        for inner in value:
            yield f"an element of {place}", inner


def _short(key: object) -> str:
    try:
        text = repr(key)
    except Exception:  # noqa: BLE001 - a foreign __repr__, or an int of more digits than Python prints
        text = f"<{type(key).__name__}>"
    return text if len(text) <= 60 else text[:57] + "..."


# --- unpacking


def _too_deep(value: Any) -> bool:
    level = [value]
    for _ in range(MAX_DEPTH):
        below: list[Any] = []
        for container in level:
            _gather(container, below)
            if type(container) is dict:
                _gather(container.values(), below)
        if not below:
            return False
        level = below
    return True


def _gather(items: Any, into: list[Any]) -> None:
    if not _CONTAINERS.isdisjoint(map(type, items)):
        into.extend(item for item in items if type(item) in _CONTAINERS)


_decoders: list[Decoder[Any]] = []


def _decoder(depth: int) -> Decoder[Any]:
    """The decoder for the payload of an extension *depth* extensions deep."""
    if depth < len(_decoders):
        return _decoders[depth]
    if depth > MAX_DEPTH:
        raise ValueError(f"more than {MAX_DEPTH} extensions within each other")

    def extension(code: int, data: memoryview) -> Any:
        return _unpack_extension(code, data, depth + 1)

    decoder = Decoder(ext_hook=extension)
    if depth == len(_decoders):
        _decoders.append(decoder)
    return decoder


def _unpack_extension(code: int, data: memoryview, depth: int) -> Any:
    if _TUPLE <= code <= _FROZENSET:
        items = _decoder(depth).decode(data)
        if type(items) is not list:
            raise ValueError("the content of a container is no list")
        return _BUILD[code](items)
    if code == _INT:
        if len(data) > MAX_INT_BITS // 8 + 1:
            raise ValueError(f"an int of more than {MAX_INT_BITS} bits")
        return int.from_bytes(data, "big", signed=True)
    if code == _STR:
        return str(data, "utf-8", "surrogatepass")
    if code == _DEVICE:
        return DeviceRef(_DEVICE_ID.decode(data))
    if code == _IP:
        return _unpack_ip(data)
    if code == _PATH:
        import pathlib

        if not data:
            raise ValueError("no path")
        text = str(data[1:], "utf-8", "surrogatepass")
        return pathlib.PurePosixPath(text) if data[0] == ord("p") else pathlib.Path(text)
    if code == _DATETIME:
        return _unpack_datetime(data)
    if code == _TIMEDELTA:
        import datetime

        return datetime.timedelta(*_INTEGERS.decode(data))
    raise ValueError(f"no kind of value has the code {code}")


def _unpack_ip(data: memoryview) -> Any:
    classes = _ip_classes()
    if not data or data[0] >= len(classes) or len(data) > 200:
        raise ValueError("no address")
    return classes[data[0]](str(data[1:], "ascii"))


def _unpack_datetime(data: memoryview) -> Any:
    import datetime

    fields = _decoder(MAX_DEPTH).decode(data)
    if type(fields) is not list or len(fields) not in (2, 5, 6) or type(fields[0]) is not str:
        raise ValueError("no datetime")
    when, fold, *zone = fields
    moment = datetime.datetime.fromisoformat(when).replace(fold=fold)
    if not zone:
        return moment
    return moment.replace(tzinfo=datetime.timezone(datetime.timedelta(*zone[:3]), *zone[3:]))


def _pairs(items: list[Any]) -> dict[Any, Any]:
    if len(items) % 2:
        raise ValueError("a dict with a key that has no value")
    return dict(zip(items[::2], items[1::2], strict=True))


_BUILD: Final[dict[int, Callable[[list[Any]], Any]]] = {
    _TUPLE: tuple,
    _DICT: _pairs,
    _SET: set,
    _FROZENSET: frozenset,
}
_DEVICE_ID: Final = Decoder(int)
_INTEGERS: Final = Decoder(tuple[int, int, int])
