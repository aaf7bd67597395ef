"""Parameters whose values are addresses, networks, host names, or device objects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, overload

from .base import Param, V_co

if TYPE_CHECKING:
    from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
    from typing import Literal, TypeAlias, Unpack

    from .base import Described

    Address: TypeAlias = IPv4Address | IPv6Address
    Network: TypeAlias = IPv4Network | IPv6Network

    class IpLimits(Described, total=False):
        family: Literal[4, 6] | None


_FAMILIES = {None: "an IPv4 or IPv6", 4: "an IPv4", 6: "an IPv6"}


class IpParam(Param[V_co]):
    """An address without a prefix; the value is an ``IPv4Address`` or ``IPv6Address``.

    An address of an interface (``m1.eth0.ips[0]``) is accepted for the address it is.

    Args:
        family: 4 or 6, if only that is accepted.
    """

    @overload
    def __init__(
        self: IpParam[Address], *, mandatory: Literal[True], default: None = ..., **limits: Unpack[IpLimits]
    ) -> None: ...

    @overload
    def __init__(
        self: IpParam[Address], *, default: str | Address, mandatory: bool = ..., **limits: Unpack[IpLimits]
    ) -> None: ...

    @overload
    def __init__(
        self: IpParam[Address | None],
        *,
        mandatory: bool = ...,
        default: None = ...,
        **limits: Unpack[IpLimits],
    ) -> None: ...

    def __init__(
        self,
        *,
        mandatory: bool = False,
        default: str | Address | None = None,
        desc: str = "",
        secret: bool = False,
        family: Literal[4, 6] | None = None,
    ) -> None:
        self.family = family
        super().__init__(mandatory=mandatory, default=default, desc=desc, secret=secret)

    def check_limits(self) -> None:
        check_family(self.family)

    def convert(self, value: object) -> Any:
        address = to_address(value)
        if address is None and isinstance(value, str) and "/" in value:
            raise ValueError(f"expected {self.accepts()} without a prefix length")
        if address is None or self.family not in (None, address.version):
            raise self.expected()
        return address

    def accepts(self) -> str:
        return _FAMILIES[self.family] + " address"

    def json_schema(self) -> dict[str, Any]:
        if self.family is not None:
            return {"type": "string", "format": f"ipv{self.family}"}
        return {"type": "string", "anyOf": [{"format": "ipv4"}, {"format": "ipv6"}]}

    def plain(self, value: Any) -> Any:
        return str(value)


class NetworkParam(Param[V_co]):
    """A network as "192.0.2.0/24"; the value is an ``IPv4Network`` or ``IPv6Network``.

    An address without a prefix is a network of one; bits set behind the prefix are an error.

    Args:
        family: 4 or 6, if only that is accepted.
    """

    @overload
    def __init__(
        self: NetworkParam[Network],
        *,
        mandatory: Literal[True],
        default: None = ...,
        **limits: Unpack[IpLimits],
    ) -> None: ...

    @overload
    def __init__(
        self: NetworkParam[Network],
        *,
        default: str | Network,
        mandatory: bool = ...,
        **limits: Unpack[IpLimits],
    ) -> None: ...

    @overload
    def __init__(
        self: NetworkParam[Network | None],
        *,
        mandatory: bool = ...,
        default: None = ...,
        **limits: Unpack[IpLimits],
    ) -> None: ...

    def __init__(
        self,
        *,
        mandatory: bool = False,
        default: str | Network | None = None,
        desc: str = "",
        secret: bool = False,
        family: Literal[4, 6] | None = None,
    ) -> None:
        self.family = family
        super().__init__(mandatory=mandatory, default=default, desc=desc, secret=secret)

    def check_limits(self) -> None:
        check_family(self.family)

    def convert(self, value: object) -> Any:
        import ipaddress

        if isinstance(value, str):
            text = value.strip()
            try:
                value = ipaddress.ip_network(text, strict=False)
            except ValueError:
                raise self.expected() from None
            if "/" in text and ipaddress.ip_interface(text).ip != value.network_address:
                raise ValueError(f"expected {self.accepts()}; this is a host's address in {value}")
        elif isinstance(value, (ipaddress.IPv4Address, ipaddress.IPv6Address)):
            value = ipaddress.ip_network(value)
        if not isinstance(value, (ipaddress.IPv4Network, ipaddress.IPv6Network)):
            raise self.expected()
        if self.family not in (None, value.version):
            raise self.expected()
        return value

    def accepts(self) -> str:
        example = "2001:db8::/32" if self.family == 6 else "192.0.2.0/24"
        return f"{_FAMILIES[self.family]} network (as {example})"

    def json_schema(self) -> dict[str, Any]:
        return {"type": "string", "pattern": "^[0-9A-Fa-f.:]+(%[^/]+)?(/[0-9.]+)?$"}

    def plain(self, value: Any) -> Any:
        return str(value)


class HostnameParam(Param[V_co]):
    """A host name as RFC 1123 defines it: at most 253 characters, the last label not all digits."""

    @overload
    def __init__(
        self: HostnameParam[str],
        *,
        mandatory: Literal[True],
        default: None = ...,
        **options: Unpack[Described],
    ) -> None: ...

    @overload
    def __init__(
        self: HostnameParam[str], *, default: str, mandatory: bool = ..., **options: Unpack[Described]
    ) -> None: ...

    @overload
    def __init__(
        self: HostnameParam[str | None],
        *,
        mandatory: bool = ...,
        default: None = ...,
        **options: Unpack[Described],
    ) -> None: ...

    def __init__(
        self, *, mandatory: bool = False, default: str | None = None, desc: str = "", secret: bool = False
    ) -> None:
        super().__init__(mandatory=mandatory, default=default, desc=desc, secret=secret)

    def convert(self, value: object) -> Any:
        if not isinstance(value, str):
            raise self.expected()
        name = value.strip()
        if not name.isascii():
            raise ValueError(f"expected {self.accepts()}; write an international name in its xn-- form")
        if not is_hostname(name):
            raise self.expected()
        return str(name)

    def accepts(self) -> str:
        return "a host name (letters, digits and hyphens, in parts divided by dots)"

    def json_schema(self) -> dict[str, Any]:
        return {"type": "string", "minLength": 1, "maxLength": 254, "pattern": "^[A-Za-z0-9.-]+$"}


class HostnameOrIpParam(Param[V_co]):
    """An address (the value is an ``IPv4Address`` or ``IPv6Address``) or else a host name (a str)."""

    @overload
    def __init__(
        self: HostnameOrIpParam[str | Address],
        *,
        mandatory: Literal[True],
        default: None = ...,
        **options: Unpack[Described],
    ) -> None: ...

    @overload
    def __init__(
        self: HostnameOrIpParam[str | Address],
        *,
        default: str | Address,
        mandatory: bool = ...,
        **options: Unpack[Described],
    ) -> None: ...

    @overload
    def __init__(
        self: HostnameOrIpParam[str | Address | None],
        *,
        mandatory: bool = ...,
        default: None = ...,
        **options: Unpack[Described],
    ) -> None: ...

    def __init__(
        self,
        *,
        mandatory: bool = False,
        default: str | Address | None = None,
        desc: str = "",
        secret: bool = False,
    ) -> None:
        super().__init__(mandatory=mandatory, default=default, desc=desc, secret=secret)

    def convert(self, value: object) -> Any:
        address = to_address(value)
        if address is not None:
            return address
        if not isinstance(value, str) or not is_hostname(value.strip()):
            raise self.expected()
        return str(value.strip())

    def accepts(self) -> str:
        return "an IPv4 or IPv6 address or a host name"

    def json_schema(self) -> dict[str, Any]:
        return {"type": "string", "minLength": 1}

    def plain(self, value: Any) -> Any:
        return str(value)


class DeviceParam(Param[V_co]):
    """A device of a host (``m1.eth0``); cannot be given as text, and has no default.

    A test module gets what the device was when the job was started: ``self.params.dev.name``, ``.hwaddr``, ``.ips`` …

    Known by its class, which has ``if_index`` and ``hwaddr``: asking the object would ask its host.
    """

    @overload
    def __init__(self: DeviceParam[Any], *, mandatory: Literal[True], **options: Unpack[Described]) -> None: ...

    @overload
    def __init__(self: DeviceParam[Any | None], *, mandatory: bool = ..., **options: Unpack[Described]) -> None: ...

    def __init__(self, *, mandatory: bool = False, desc: str = "", secret: bool = False) -> None:
        super().__init__(mandatory=mandatory, desc=desc, secret=secret)

    def convert(self, value: object) -> Any:
        kind = type(value)
        if not (hasattr(kind, "if_index") and hasattr(kind, "hwaddr")):
            raise self.expected()
        return value

    def accepts(self) -> str:
        return "a device of a matched host (as self.matched.m1.eth0)"


def check_family(family: object) -> None:
    """Raise ValueError unless *family* is 4, 6 or None."""
    if family not in (None, 4, 6):
        raise ValueError(f"family is 4 or 6, not {family!r}")


def to_address(value: object) -> Address | None:
    """The address that *value* is or spells, None if it is none. No numbers: 1 is no address here."""
    import ipaddress

    if isinstance(value, (ipaddress.IPv4Interface, ipaddress.IPv6Interface)):
        return value.ip
    if isinstance(value, (ipaddress.IPv4Address, ipaddress.IPv6Address)):
        return value
    try:
        return ipaddress.ip_address(value.strip()) if isinstance(value, str) else None
    except ValueError:
        return None


def is_hostname(name: str) -> bool:
    """Whether *name* is a host name by RFC 1123 (a dot at its end is allowed)."""
    labels = name.removesuffix(".").split(".")
    if len(name) > 254 or not name.isascii() or labels[-1].isdigit():
        return False
    return all(
        0 < len(label) <= 63 and label.replace("-", "a").isalnum() and label[0] != "-" and label[-1] != "-"
        for label in labels
    )
