"""A host's devices on the controller: they are found by name, made by assignment, and asked over the wire."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from shakeout.devices.base import Device
from shakeout.devices.binding import bind_remote, creation, make_remote
from shakeout.devices.kinds import BUILT_IN
from shakeout.devices.references import to_devices, to_references
from shakeout.errors import ProtocolError, ShakeoutError, UnknownName, UsageError, did_you_mean
from shakeout.journal.events import DeviceChanged, Log
from shakeout.wire.messages import DeviceCall, DeviceOp
from shakeout.wire.plain import pack, unpack

if TYPE_CHECKING:
    from shakeout.hosts.session import Session

_REMOVERS = ("destroy", "remove")


class HostDevices:
    """The devices of one host, and the `DeviceRemote` that they ask.

    Args:
        links: what the recipe calls an interface -> the name of the link on the host.
        take_mac: gives hardware addresses for devices that are made.
    """

    def __init__(self, session: Session, links: Mapping[str, str], take_mac: Callable[[], str] | None = None) -> None:
        self._session = session
        self._links = dict(links)
        self._take_mac = take_mac or (lambda: "")
        self._by_name: dict[str, Device] = {}
        self._by_id: dict[int, Device] = {}

    def names(self) -> list[str]:
        """The names that the recipe knows."""
        return list(dict.fromkeys([*self._links, *self._by_name]))

    def find(self, name: str) -> Device:
        """The device that the recipe calls *name*.

        Raises:
            UnknownDevice: the host has none of that name.
        """
        device = self._by_name.get(name)
        if device is None:
            try:
                told = self._ask(0, "adopt", self._links.get(name, name))
            except UnknownName as error:
                raise UnknownDevice(_or_a_method(name, str(error))) from None
            number, _, class_name = self._told(told)
            device = self._by_name[name] = self._known(number, name, class_name)
        return device

    def create(self, name: str, device: object) -> None:
        """Make *device* on the host, as *name*.

        Raises:
            UsageError: it is no device, or the name is taken.
            DeviceError, LabLacks: the host cannot make it.
        """
        where = f"{self._session.name}.{name}"
        if not isinstance(device, Device):
            hint = f"; make one: {device.__name__}()" if isinstance(device, type) else ""
            raise UsageError(f"{where} can only be a device, not {device!r}{hint}")
        if name in self._by_name or name in self._links:
            raise UsageError(f"{where} exists already; choose another name, or remove it first: {where}.destroy()")
        made = creation(device)
        payload = (
            self._spec(type(device)),
            to_references(made.args, self),
            to_references(made.kwargs, self),
            to_references(made.state, self),
            self._take_mac(),
        )
        try:
            packed = pack(payload, where=f"what {type(device).__name__} was made with")
            made_there = self._ask(0, "create", name, packed)
        except ShakeoutError as error:
            self._record(name, "create", type(device).__name__, None, str(error))
            raise
        number, _, _ = self._told(made_there)
        bind_remote(device, self, number, where)
        self._by_name[name] = self._by_id[number] = device
        shown = {"args": made.args, **made.kwargs} if made.args else made.kwargs
        self._record(name, "create", type(device).__name__, shown)

    def all(self) -> Iterable[Device]:
        """All devices of the host, in the kernel's order."""
        names = {link: name for name, link in self._links.items()}
        listed = self._ask(0, "list")
        told = [self._told(row) for row in listed] if isinstance(listed, list) else [self._told(listed)]
        return [self._known(number, names.get(link, link), class_name) for number, link, class_name in told]

    # -- what devices ask (`DeviceRemote`) ------------------------------------------------------------

    def get(self, device_id: int, name: str) -> Any:
        """The value of an attribute."""
        return self._ask(device_id, "get", name)

    def set(self, device_id: int, name: str, value: Any) -> None:
        """Set an attribute; returns when the host has done it."""
        shown = to_references(value, self)
        self._change(device_id, "set", name, pack((shown,), where=f"the value of {name}"), value)

    def call(self, device_id: int, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call a method."""
        payload = pack((to_references(args, self), to_references(kwargs, self)), where=f"an argument of {name}()")
        shown = [*args, *(f"{key}={value!r}" for key, value in kwargs.items())]
        result = self._change(device_id, "call", name, payload, shown)
        if name == "ip_add":
            self._warn_of_single(device_id, *args, **kwargs)
        if name in _REMOVERS:
            self._forget(device_id)
        return result

    def items(self, device_id: int) -> Iterable[tuple[str, Any]]:
        """All public attributes with their values."""
        pairs = self._ask(device_id, "items")
        with self._answer():
            return [(str(name), value) for name, value in pairs]

    # -- inner parts ----------------------------------------------------------------------------------

    def _change(self, device_id: int, op: DeviceOp, name: str, payload: bytes, shown: Any) -> Any:
        label = self._by_id[device_id]._label.partition(".")[2] if device_id in self._by_id else str(device_id)
        try:
            result = self._ask(device_id, op, name, payload)
        except ShakeoutError as error:
            self._record(label, op, name, shown, str(error))
            raise
        self._record(label, op, name, shown)
        return result

    def _warn_of_single(self, device_id: int, address: object = "", peer: object = None, **_: object) -> None:
        """Say that an address without a prefix reaches nobody: who means that writes /32."""
        text = str(address)
        if peer is not None or "/" in text or text.startswith("127."):
            return
        single, usual = ("128", "64") if ":" in text else ("32", "24")
        device = self._by_id[device_id]._label if device_id in self._by_id else str(device_id)
        text = (
            f"{device}.ip_add({text!r}) has no prefix, so it is a single address, {text}/{single}, with no network "
            f"around it: write {text}/{usual}, say, to reach others, or /{single} if that is meant"
        )
        self._session.recorder.write(Log(level="warning", text=text, host=self._session.name))

    def _ask(self, device_id: int, op: DeviceOp, name: str = "", payload: bytes = b"") -> Any:
        raw = self._session.ask(lambda number: DeviceCall(number, device_id, op, name, payload))
        with self._answer():
            value, mentioned = unpack(raw)
            if not mentioned:
                return value
            return to_devices(value, lambda number: self._known(number, *mentioned[number]))

    def _told(self, row: Any) -> tuple[int, str, str]:
        """Number, name and class of a device, as the host tells them."""
        with self._answer():
            number, name, class_name, _, _ = row
            if type(number) is int and type(name) is str and type(class_name) is str:
                return number, name, class_name
            raise TypeError(f"{row!r} is no device")

    @contextmanager
    def _answer(self) -> Iterator[None]:
        """In this block an answer is taken apart; one that is not what was asked for is the host's fault."""
        try:
            yield
        except (TypeError, ValueError, LookupError, AttributeError) as error:
            text = f"its agent answered with something else than was asked for: {error}"
            raise ProtocolError(text, self._session.name) from error

    def _known(self, number: int, name: str, class_name: str) -> Device:
        device = self._by_id.get(number)
        if device is None:
            cls = BUILT_IN.get(class_name, Device)
            device = self._by_id[number] = make_remote(cls, self, number, f"{self._session.name}.{name}")
        return device

    def _spec(self, cls: type[Device]) -> tuple[str, str, tuple[tuple[str, str, str, bool], ...]]:
        """What the host needs to have the class."""
        if BUILT_IN.get(cls.__name__) is cls:
            return ("", cls.__name__, ())
        from shakeout.modules.source import manifest_of

        manifest = manifest_of(cls)
        self._session.ship(manifest.sources)
        sources = tuple((s.name, s.filename, s.sha256, s.is_package) for s in manifest.sources)
        return (manifest.entry_module, manifest.qualname, sources)

    def _forget(self, device_id: int) -> None:
        """A software device was removed: its name is free again (hardware stays)."""
        device = self._by_id.get(device_id)
        for name in [name for name, known in self._by_name.items() if known is device and name not in self._links]:
            del self._by_name[name]

    def _record(self, device: str, action: str, name: str, value: Any, error: str = "") -> None:
        self._session.recorder.write(
            DeviceChanged(host=self._session.name, device=device, action=action, name=name, value=value, error=error)
        )


def _or_a_method(name: str, text: str) -> str:
    """What is said of an unknown device, where *name* looks like something else that a host has."""
    from shakeout.hosts.host import Host

    own = did_you_mean(name, [word for word in vars(Host) if not word.startswith("_")])
    return f"{text.partition(' (known')[0]}{own}" if "did you mean" in own and "did you mean" not in text else text


class UnknownDevice(UnknownName, AttributeError):
    """A name that is no device of the host; an AttributeError, too, so that `hasattr` works."""

    name: str

    def __init__(self, text: str) -> None:
        UnknownName.__init__(self, "device", "")
        self.args = (text,)
