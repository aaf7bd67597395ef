"""What a recipe may say it needs, and what it is told when that makes no sense."""

from __future__ import annotations

import copy

import pytest

from shakeout.errors import BadRequirement
from shakeout.matching.requirements import DeviceReq, HostReq, Requirements, collect, describe, resolve
from shakeout.matching.reserved import RESERVED
from shakeout.matching.values import AnyOf, AtLeast, Match, Not, RecipeParam
from shakeout.params import IntParam, StrParam, bind


class Base:
    m1 = HostReq(arch="x86_64")
    m1.eth0 = DeviceReq(label="net1", driver="mlx5_core")
    m2 = HostReq()


def test_collects_bases_first_and_subclasses_replace_and_remove() -> None:
    class Derived(Base):
        m3 = HostReq(cpus=8)
        m2 = None
        m1 = HostReq(arch="arm64")

    req = collect(Derived)
    assert [name for name, _ in req] == ["m1", "m3"]
    assert req.m1.arch == "arm64"
    assert [name for name, _ in collect(Base)] == ["m1", "m2"]


def test_a_removed_host_can_come_back_in_a_further_subclass() -> None:
    class Without(Base):
        m1 = None

    class With(Without):
        m1 = HostReq(rack=7)

    assert [name for name, _ in collect(With)] == ["m2", "m1"]


def test_each_copy_is_its_own() -> None:
    one, two = collect(Base), collect(Base)
    one.m1.eth0.driver = "ixgbe"
    one.m1.arch = "s390x"
    one.m3 = HostReq()
    del one.m2
    assert (two.m1.eth0.driver, two.m1.arch, len(two)) == ("mlx5_core", "x86_64", 2)
    assert (one.m1.eth0.driver, one.m1.arch) == ("ixgbe", "s390x")
    assert [name for name, _ in one] == ["m1", "m3"]
    three = copy.deepcopy(one)
    three.m1.eth0.label = "net9"
    assert one.m1.eth0.label == "net1"
    assert copy.deepcopy(one) == one != three


def test_attributes_can_be_deleted_and_dropped_with_none() -> None:
    req = collect(Base)
    del req.m1.eth0.driver
    req.m1.arch = None
    assert dict(req.m1.params) == {} == dict(req.m1.eth0.params)
    del req.m1.eth0.label
    assert req.m1.eth0.label is None
    del req.m1.eth0
    assert dict(req.m1.devs) == {}
    with pytest.raises(AttributeError, match="driver"):
        _ = DeviceReq(driver="x").drivr


@pytest.mark.parametrize("name", sorted(RESERVED))
def test_reserved_names_are_refused_with_another_one(name: str) -> None:
    host = HostReq()
    with pytest.raises(BadRequirement, match=f"'{name}' is reserved.*call it"):
        setattr(host, name, DeviceReq(label="net1"))
    with pytest.raises(BadRequirement, match="reserved"):
        setattr(Requirements(), name, HostReq())


def test_the_suggested_name_is_accepted() -> None:
    for name in RESERVED:
        setattr(HostReq(), f"{name}0", DeviceReq())
        setattr(Requirements(), f"{name}_host", HostReq())


def test_reserved_host_in_a_class_names_the_class() -> None:
    cls = type("MyRecipe", (), {"params": HostReq()})
    with pytest.raises(BadRequirement, match=r"class MyRecipe: 'params' is reserved"):
        collect(cls)


@pytest.mark.parametrize("name", ["eth-0", "0eth", "", "class", "_eth0", "a.b"])
def test_names_must_be_identifiers(name: str) -> None:
    with pytest.raises(BadRequirement, match="identifier"):
        setattr(HostReq(), name, DeviceReq())
    with pytest.raises(BadRequirement, match="identifier"):
        Requirements({name: HostReq()})


def test_wrong_kinds_are_refused() -> None:
    req = collect(Base)
    with pytest.raises(BadRequirement, match="HostReq"):
        req.m4 = "dut1"
    with pytest.raises(BadRequirement, match="DeviceReq"):
        req.m1.eth0 = "enp1s0"
    with pytest.raises(BadRequirement, match="DeviceReq"):
        req.m1.eth1 = DeviceReq
    with pytest.raises(BadRequirement, match="property"):
        req.m1.arch = DeviceReq()
    with pytest.raises(BadRequirement, match="label"):
        DeviceReq(label=3)
    with pytest.raises(BadRequirement, match="label"):
        DeviceReq(label="")
    with pytest.raises(BadRequirement, match="parentheses"):
        HostReq(arch=Not)
    with pytest.raises(BadRequirement, match="belongs to a host"):
        collect(type("R", (), {"eth0": DeviceReq()}))
    with pytest.raises(BadRequirement, match="no HostReq"):
        collect(type("R", (Base,), {"m1": 3}))
    with pytest.raises(BadRequirement, match="reserved"):
        HostReq(params=3)


def test_unknown_host_names_the_nearest() -> None:
    with pytest.raises(AttributeError, match="did you mean 'server'"):
        _ = Requirements({"server": HostReq()}).sever


def test_describe_reads_well() -> None:
    assert describe(HostReq(arch="x86_64", cpus=AtLeast(4))) == "arch=x86_64, cpus >= 4"
    assert describe(DeviceReq("net1", driver=Not(AnyOf("a", "b")))) == "label net1, driver not one of a, b"
    assert describe(HostReq()) == ""


def test_resolve_puts_in_parameters() -> None:
    req = Requirements({"m1": HostReq(arch=RecipeParam("arch"), cpus=AtLeast(RecipeParam("cpus")))})
    req.m1.eth0 = DeviceReq(label=RecipeParam("net"), driver=Not(AnyOf(RecipeParam("bad"), "e1000")))
    req.m1.eth1 = DeviceReq(label="net2", driver=RecipeParam("drivers"))
    done = resolve(req, {"arch": "arm64", "cpus": 8, "net": "left", "bad": None, "drivers": ["a", "b"]})
    assert done.m1.arch == "arm64"
    assert done.m1.cpus == AtLeast(8)
    assert done.m1.eth0.label == "left"
    assert done.m1.eth0.driver == Not(AnyOf("e1000"))
    assert done.m1.eth1.driver == AnyOf("a", "b")
    assert req.m1.arch == RecipeParam("arch")


def test_a_parameter_without_value_drops_the_requirement() -> None:
    host = HostReq(a=RecipeParam("p"), b=Not(RecipeParam("p")), c=AnyOf(RecipeParam("p")), d=1)
    req = Requirements({"m1": host})
    req.m1.eth0 = DeviceReq(label=RecipeParam("p"))
    done = resolve(req, {"p": None})
    assert dict(done.m1.params) == {"d": 1}
    assert done.m1.eth0.label is None


def test_parameter_objects_of_the_class_are_references() -> None:
    class Recipe:
        driver = StrParam(default="mlx5_core")
        speed = IntParam()
        m1 = HostReq(rack=Not(driver), name=driver)
        m1.eth0 = DeviceReq(label="net1", driver=driver, speed=AtLeast(speed))

    def resolved(**given: object) -> Requirements:
        return resolve(collect(Recipe), bind(Recipe, given))

    assert dict(resolved().m1.eth0.params) == {"driver": "mlx5_core"}
    assert dict(resolved(speed=10, driver="e1000").m1.eth0.params) == {
        "driver": "e1000",
        "speed": AtLeast(10),
    }
    assert resolved().m1.rack == Not("mlx5_core")


def test_a_parameter_object_of_no_class_is_refused() -> None:
    with pytest.raises(BadRequirement, match="declare it there"):
        resolve(Requirements({"m1": HostReq(arch=StrParam())}), {})


def test_params_name_the_nearest_parameter() -> None:
    class Recipe:
        arch = StrParam()
        m1 = HostReq(arch=RecipeParam("acrh"))

    with pytest.raises(BadRequirement, match=r"m1: arch: .*acrh.*did you mean 'arch'"):
        resolve(collect(Recipe), bind(Recipe, {}))


def test_a_reference_to_no_parameter_names_the_nearest() -> None:
    req = Requirements({"m1": HostReq(arch=RecipeParam("acrh"))})
    with pytest.raises(BadRequirement, match=r"m1: arch: .*'acrh'.*did you mean 'arch'"):
        resolve(req, {"arch": "x"})


def test_a_parameter_with_a_bad_value_says_where() -> None:
    req = Requirements({"m1": HostReq(arch=Match(RecipeParam("arch")))})
    with pytest.raises(BadRequirement, match=r"m1: arch: .*no regular expression.*position 0"):
        resolve(req, {"arch": "("})
