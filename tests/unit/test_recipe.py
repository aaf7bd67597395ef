"""Recipe classes: parameters, requirements of their own, reserved names."""

from __future__ import annotations

import pytest

from shakeout import BaseRecipe, DeviceReq, HostReq, IntParam, StrParam
from shakeout.errors import BadParameters, BadRecipe, BadRequirement
from shakeout.matching.requirements import resolve


class Base(BaseRecipe):
    mtu = IntParam(default=1500)
    peer = StrParam(mandatory=True)
    m1 = HostReq(arch="x86_64")
    m1.if1 = DeviceReq(label="net1", driver="mlx5")
    m2 = HostReq()

    def test(self) -> None:
        pass


class Derived(Base):
    m2 = None
    m3 = HostReq()
    speed = IntParam(default=10)


def test_parameters_are_converted_and_iterable() -> None:
    recipe = Base(mtu="8000", peer="x")
    assert recipe.params.mtu == 8000
    assert dict(recipe.params) == {"mtu": 8000, "peer": "x"}


def test_all_offending_names_are_in_one_message() -> None:
    with pytest.raises(BadParameters) as caught:
        Base(mtuu=3, mtu="big")
    for word in ("'peer'", "'mtuu'", "did you mean 'mtu'", "mtu='big'"):
        assert word in str(caught.value)


def test_each_instance_has_requirements_of_its_own() -> None:
    first, second = Base(peer="a"), Base(peer="b")
    first.req.m1.if1.driver = "ixgbe"
    first.req.m9 = HostReq()
    assert second.req.m1.if1.driver == "mlx5"
    assert Base.m1.if1.driver == "mlx5"
    assert [name for name, _ in first.req] == ["m1", "m2", "m9"]
    assert [name for name, _ in second.req] == ["m1", "m2"]
    assert first.reqs is first.requirements is first.req


def test_a_subclass_adds_replaces_and_does_without() -> None:
    recipe = Derived(peer="a")
    assert [name for name, _ in recipe.req] == ["m1", "m3"]
    assert dict(recipe.params) == {"mtu": 1500, "peer": "a", "speed": 10}


def test_an_init_of_its_own_takes_what_is_no_parameter() -> None:
    class Own(Base):
        def __init__(self, driver: str = "veth", **kwargs: object) -> None:
            super().__init__(**kwargs)
            self.req.m1.if1.driver = driver

    assert Own(peer="a", driver="e1000").req.m1.if1.driver == "e1000"
    with pytest.raises(BadParameters, match="'colour'"):
        Own(peer="a", colour="red")


def test_references_to_parameters_are_put_in_for_each_instance() -> None:
    class Refers(BaseRecipe):
        kind = StrParam(default="veth")
        m1 = HostReq()
        m1.if1 = DeviceReq(label=kind, driver=kind)

        def test(self) -> None:
            pass

    for given in ("veth", "mlx5"):
        recipe = Refers(kind=given)
        resolved = resolve(recipe.req, recipe.params)
        assert (resolved.m1.if1.label, resolved.m1.if1.driver) == (given, given)


def test_a_recipe_without_test_is_refused() -> None:
    with pytest.raises(BadRecipe, match="Lazy has no test"):
        type("Lazy", (BaseRecipe,), {})()


@pytest.mark.parametrize(
    "name", ["run", "params", "devs", "props", "name", "jobs", "wait_for", "matched", "req", "reqs"]
)
def test_names_of_the_api_cannot_be_interfaces(name: str) -> None:
    with pytest.raises(BadRequirement, match=f"'{name}' is reserved"):
        setattr(HostReq(), name, DeviceReq())


@pytest.mark.parametrize(
    "name", ["params", "matched", "req", "reqs", "requirements", "breakpoint", "log", "add_result"]
)
def test_names_of_the_api_cannot_be_parameters_or_hosts(name: str) -> None:
    with pytest.raises((BadParameters, BadRecipe, BadRequirement, TypeError), match=name):
        type("Odd", (BaseRecipe,), {name: IntParam(), "test": lambda self: None})()
    with pytest.raises(BadRequirement, match=name):
        type("Odd", (BaseRecipe,), {name: HostReq(), "test": lambda self: None})()


def test_every_public_name_of_recipes_and_hosts_is_reserved() -> None:
    from shakeout.hosts.host import Host
    from shakeout.matching.reserved import RESERVED

    public = {name for kind in (BaseRecipe, Host) for name in dir(kind) if not name.startswith("_")}
    public |= {name for name in (*BaseRecipe.__annotations__, *Host.__annotations__) if not name.startswith("_")}
    assert sorted(public - RESERVED - {"start", "conclude"}) == []


def test_a_class_in_place_of_an_instance_is_refused() -> None:
    with pytest.raises(BadRequirement, match=r"write HostReq\(\)"):
        type("Odd", (BaseRecipe,), {"m1": HostReq, "test": lambda self: None})()


@pytest.mark.parametrize("ask", ["matched", "add_result", "breakpoint", "log"])
def test_what_belongs_to_a_run_says_so_outside_of_one(ask: str) -> None:
    with pytest.raises(BadRecipe, match="only there while the recipe runs"):
        getattr(Base(peer="a"), ask)(*() if ask == "breakpoint" else (True,) if ask == "add_result" else ("x",))
