"""What a recipe needs: hosts with properties, and their interfaces on labelled networks.

::

    class MyRecipe(BaseRecipe):
        driver = StrParam(default="mlx5_core")
        m1 = HostReq(arch="x86_64", cpus=AtLeast(4))
        m1.eth0 = DeviceReq(label="net1", driver=driver)

Each recipe has its own copy in ``self.req``, to be adjusted in ``__init__``::

        self.req.m1.eth0.driver = "ixgbe"
        self.req.m3 = HostReq()
        del self.req.m2
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from shakeout.errors import BadRequirement, did_you_mean
from shakeout.matching.reserved import check_name
from shakeout.matching.values import Predicate, RecipeParam, as_predicate, is_param, shown

if TYPE_CHECKING:
    from shakeout.params import Params


class DeviceReq:
    """A port that a host must have.

    Args:
        label: the layer-2 network: interfaces with one label are matched to ports on one network, and
            (unless the run says otherwise) those with different labels to different ones. Without a
            label, any port does, connected or not.
        params: what the port's properties must be (see :mod:`shakeout.matching.values`); besides those that
            its pool gives, every port has ``id``, ``network`` and ``hwaddr``.

    Raises:
        BadRequirement: a label that is no text, or a value that cannot be compared.
    """

    __slots__ = ("_label", "_params")
    _label: str | RecipeParam | None
    _params: dict[str, object]

    def __init__(self, label: object = None, **params: object) -> None:
        object.__setattr__(self, "_params", {})
        self.label = label
        for name, value in params.items():
            setattr(self, name, value)

    @property
    def params(self) -> Mapping[str, object]:
        """The properties asked for, as they were given; read-only."""
        return MappingProxyType(self._params)

    @property
    def label(self) -> str | RecipeParam | None:
        """The network's label; None: any port."""
        return self._label

    @label.setter
    def label(self, label: object) -> None:
        if is_param(label):
            label = RecipeParam(label)
        if not (label is None or isinstance(label, RecipeParam) or (isinstance(label, str) and label)):
            raise BadRequirement(f"DeviceReq: label={label!r} is no label; it is a text such as 'net1', or left out")
        object.__setattr__(self, "_label", label)

    def __getattr__(self, name: str) -> Any:
        return _read(self, name, self._params, "interface")

    def __setattr__(self, name: str, value: object) -> None:
        if name == "label":
            object.__setattr__(self, name, value)
        else:
            _set_param(self, self._params, name, value)

    def __delattr__(self, name: str) -> None:
        if name == "label":
            object.__setattr__(self, "_label", None)
        else:
            _read(self, name, self._params, "interface")
            del self._params[name]

    def __copy__(self) -> DeviceReq:
        return DeviceReq(self._label, **self._params)

    def __deepcopy__(self, memo: object) -> DeviceReq:
        return self.__copy__()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DeviceReq) and (self._label, self._params) == (other._label, other._params)

    __hash__ = None  # type: ignore[assignment]  # it can change

    def __repr__(self) -> str:
        label = [] if self._label is None else [f"label={self._label!r}"]
        return f"DeviceReq({', '.join(label + [f'{n}={v!r}' for n, v in self._params.items()])})"


class HostReq:
    """A host that a recipe needs; its interfaces are assigned to it as attributes.

    Args:
        params: what the host's properties must be (see :mod:`shakeout.matching.values`); besides those that
            its pool gives, every host has ``name`` and ``pool``.

    Iterating gives (interface id, DeviceReq) in the order of assignment.

    Raises:
        BadRequirement: a reserved or impossible interface name, or a value that cannot be compared.
    """

    __slots__ = ("_devs", "_params")
    _devs: dict[str, DeviceReq]
    _params: dict[str, object]

    def __init__(self, **params: object) -> None:
        object.__setattr__(self, "_params", {})
        object.__setattr__(self, "_devs", {})
        for name, value in params.items():
            setattr(self, name, value)

    @property
    def params(self) -> Mapping[str, object]:
        """The properties asked for, as they were given; read-only."""
        return MappingProxyType(self._params)

    @property
    def devs(self) -> Mapping[str, DeviceReq]:
        """The interfaces asked for, by id; read-only."""
        return MappingProxyType(self._devs)

    def __getattr__(self, name: str) -> Any:
        if name in self._devs:
            return self._devs[name]
        return _read(self, name, self._params, "host", self._devs)

    def __setattr__(self, name: str, value: object) -> None:
        if isinstance(value, DeviceReq):
            check_name(name, "interface")
            if name in self._params:
                raise BadRequirement(f"HostReq: {name!r} is a property of this requirement already, and no interface")
            self._devs[name] = value
            return
        if isinstance(value, HostReq) or (isinstance(value, type) and issubclass(value, DeviceReq)):
            raise BadRequirement(f"HostReq: {name} = {value!r}: an interface is a DeviceReq(...)")
        if name in self._devs:
            if value is not None:
                raise BadRequirement(
                    f"HostReq: {name!r} is an interface of this requirement; {value!r} is no DeviceReq(...)"
                )
            del self._devs[name]
            return
        _set_param(self, self._params, name, value)

    def __delattr__(self, name: str) -> None:
        if name in self._devs:
            del self._devs[name]
            return
        _read(self, name, self._params, "host", self._devs)
        del self._params[name]

    def __iter__(self) -> Iterator[tuple[str, DeviceReq]]:
        return iter(tuple(self._devs.items()))

    def __copy__(self) -> HostReq:
        copy = HostReq(**self._params)
        copy._devs.update(self._devs)
        return copy

    def __deepcopy__(self, memo: object) -> HostReq:
        copy = HostReq(**self._params)
        copy._devs.update({name: dev.__copy__() for name, dev in self._devs.items()})
        return copy

    def __eq__(self, other: object) -> bool:
        return isinstance(other, HostReq) and (self._params, self._devs) == (other._params, other._devs)

    __hash__ = None  # type: ignore[assignment]  # it can change

    def __repr__(self) -> str:
        return f"HostReq({', '.join(f'{n}={v!r}' for n, v in self._params.items())})"


class Requirements:
    """The hosts that one recipe needs, by id, in order; ``self.req`` of a recipe.

    Hosts are read, set and deleted as attributes or items; iterating gives (id, HostReq).

    Raises:
        BadRequirement: a reserved or impossible host id, or a value that is no HostReq.
    """

    __slots__ = ("_hosts",)
    _hosts: dict[str, HostReq]

    def __init__(self, hosts: Mapping[str, HostReq] | Iterable[tuple[str, HostReq]] = ()) -> None:
        object.__setattr__(self, "_hosts", {})
        for name, req in dict(hosts).items():
            self[name] = req

    def __getattr__(self, name: str) -> HostReq:
        if name.startswith("__"):  # copy, pickle and typing ask for such
            raise AttributeError(name)
        if name not in self._hosts:
            raise AttributeError(f"the requirements have no host {name!r}{did_you_mean(name, self._hosts)}")
        return self._hosts[name]

    def __setattr__(self, name: str, value: object) -> None:
        check_name(name, "host")
        if value is None:
            self._hosts.pop(name, None)
        elif isinstance(value, HostReq):
            self._hosts[name] = value
        else:
            raise BadRequirement(
                f"the host {name!r} of a recipe's requirements cannot be {value!r}; it is a HostReq(...), "
                "or None to do without it"
            )

    def __delattr__(self, name: str) -> None:
        getattr(self, name)
        del self._hosts[name]

    def __getitem__(self, name: str) -> HostReq:
        try:
            return self._hosts[name]
        except KeyError:
            hint = did_you_mean(name, self._hosts)
            raise KeyError(f"the requirements have no host {name!r}{hint}") from None

    __setitem__ = __setattr__
    __delitem__ = __delattr__

    def __iter__(self) -> Iterator[tuple[str, HostReq]]:
        return iter(tuple(self._hosts.items()))

    def __len__(self) -> int:
        return len(self._hosts)

    def __contains__(self, name: object) -> bool:
        return name in self._hosts

    def __copy__(self) -> Requirements:
        return Requirements(self._hosts)

    def __deepcopy__(self, memo: object) -> Requirements:
        return Requirements({name: req.__deepcopy__(memo) for name, req in self._hosts.items()})

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Requirements) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]  # it can change

    def __repr__(self) -> str:
        return f"Requirements({self._hosts!r})"


def collect(cls: type) -> Requirements:
    """The requirements that a recipe class and its bases declare, as a copy of its own.

    Bases come first, then the class's own, each in the order of definition; a subclass replaces a host by
    a new HostReq of the same name and does without it by setting None.

    Raises:
        BadRequirement: a reserved name, or a host of a base replaced by something else.
    """
    found: dict[str, HostReq] = {}
    for owner in reversed(cls.__mro__):
        for name, value in vars(owner).items():
            if isinstance(value, HostReq):
                try:
                    found[check_name(name, "host")] = value
                except BadRequirement as error:
                    raise BadRequirement(f"class {owner.__name__}: {error}") from None
            elif value is HostReq or value is DeviceReq:
                raise BadRequirement(
                    f"class {owner.__name__}: {name!r} is the class {value.__name__} itself; write {value.__name__}()"
                )
            elif isinstance(value, DeviceReq):
                raise BadRequirement(
                    f"class {owner.__name__}: {name!r} is a DeviceReq, but an interface belongs to a host: "
                    f"m1 = HostReq(), then m1.{name} = DeviceReq(...)"
                )
            elif name in found:
                if value is not None:
                    raise BadRequirement(
                        f"class {owner.__name__}: {name!r} is a host of a base class, and {value!r} is no "
                        "HostReq(...); set it to None to do without it"
                    )
                del found[name]
    return Requirements(found).__deepcopy__(None)


def resolve(requirements: Requirements, params: Mapping[str, object] | Params) -> Requirements:
    """A copy of *requirements* with the recipe's parameters put in for the references to them.

    Args:
        params: the recipe's ``self.params``, or a mapping with None for parameters without a value.

    A requirement that refers to a parameter without a value is dropped; so is a label.

    Raises:
        BadRequirement: a reference to a parameter that the recipe does not have, or a value that makes no
            sense there (a pattern that is none, a lower bound above the upper one).
    """
    resolved: dict[str, HostReq] = {}
    for host_id, host in requirements:
        concrete = HostReq(**_resolved_params(host_id, host.params, params))
        for dev_id, dev in host:
            where = f"{host_id}.{dev_id}"
            label: object = dev.label
            if isinstance(label, RecipeParam):
                try:
                    label = label.value(params)
                except BadRequirement as error:
                    raise BadRequirement(f"{where}: label: {error}") from None
            setattr(concrete, dev_id, DeviceReq(label, **_resolved_params(where, dev.params, params)))
        resolved[host_id] = concrete
    return Requirements(resolved)


def predicates(req: HostReq | DeviceReq, where: str) -> dict[str, Predicate]:
    """What *req* asks of each property, by name.

    Raises:
        BadRequirement: a reference to a parameter that was not resolved.
    """
    result = {name: as_predicate(value, f"{where}: {name}") for name, value in req.params.items()}
    for name, predicate in result.items():
        for reference in predicate.references():
            raise BadRequirement(
                f"{where}: {name} refers to the recipe's parameter {reference.param!r}, whose value was not "
                "put in; requirements that refer to parameters belong to a recipe"
            )
    return result


def describe(req: HostReq | DeviceReq) -> str:
    """What *req* asks for in one line: "arch=x86_64, cpus >= 4"; "" if it asks for nothing."""
    parts = [as_predicate(value, name).text(name) for name, value in req.params.items()]
    if isinstance(req, DeviceReq) and req.label is not None:
        parts.insert(0, f"label {shown(req.label)}")
    return ", ".join(parts)


def _resolved_params(
    where: str, asked: Mapping[str, object], params: Mapping[str, object] | Params
) -> dict[str, object]:
    result: dict[str, object] = {}
    for name, value in asked.items():
        predicate = as_predicate(value, f"{where}: {name}")
        if not any(True for _ in predicate.references()):
            result[name] = value
            continue
        try:
            concrete = predicate.resolve(params)
        except BadRequirement as error:
            raise BadRequirement(f"{where}: {name}: {error}") from None
        if concrete is not None:
            result[name] = concrete.args[0] if type(concrete).__name__ == "Exact" else concrete
    return result


def _set_param(owner: object, params: dict[str, object], name: str, value: object) -> None:
    kind = type(owner).__name__
    if name in ("params", "devs") or name.startswith("_"):
        raise BadRequirement(f"{kind}: {name!r} is reserved and cannot be the name of a property")
    if not name.isidentifier():
        raise BadRequirement(f"{kind}: {name!r} cannot be the name of a property; it is a Python identifier")
    if isinstance(value, DeviceReq | HostReq):
        raise BadRequirement(f"{kind}: {name} = {value!r}: a property is a value, no requirement of its own")
    if value is None:
        params.pop(name, None)
        return
    as_predicate(value, f"{kind}: {name}")
    params[name] = value


def _read(owner: object, name: str, params: dict[str, object], kind: str, also: Iterable[str] = ()) -> object:
    if name.startswith("_"):
        raise AttributeError(name)
    if name not in params:
        hint = did_you_mean(name, [*params, *also])
        raise AttributeError(f"this {type(owner).__name__} says nothing about {name!r}{hint}")
    return params[name]
