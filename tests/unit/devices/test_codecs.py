"""pyroute2's codecs are used without loading all of pyroute2, and nobody else notices."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shakeout.devices.attributes import mac_bytes, mac_text, nest, pack, pairs, text, u32, walk
from shakeout.devices.linkoptions import pack_options, read_options
from shakeout.errors import DeviceError


def run_fresh(program: str) -> str:
    """What *program* prints in an interpreter of its own."""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


PACK = "from shakeout.devices.codecs import pack_link_options as pack; print(pack('vlan', {'id': 7}).hex());"


def test_codecs_alone_do_not_load_the_package() -> None:
    out = run_fresh(PACK + "import sys; print('asyncio' in sys.modules, 'pyroute2.iproute' in sys.modules)")
    assert out.split() == ["0600010007000000", "False", "False"]


def test_devices_do_not_need_them() -> None:
    program = "import shakeout.devices.table, shakeout.agent.undo, sys; print('pyroute2' in sys.modules)"
    assert run_fresh(program).split() == ["False"]


@pytest.mark.parametrize(
    "use",
    [
        "from pyroute2 import IPRoute, netns; print(IPRoute.__name__)",
        "import pyroute2; print(pyroute2.IPRoute.__name__, pyroute2.__spec__.name)",
        "from pyroute2.iproute import IPRoute; print(IPRoute.__name__)",
        "import pyroute2.netlink.rtnl as r; from pyroute2 import IPRoute; print(IPRoute.__name__)",
    ],
)
def test_a_recipe_can_still_use_pyroute2(use: str) -> None:
    assert "IPRoute" in run_fresh(PACK + use)


def test_pyroute2_first() -> None:
    assert "IPRoute" in run_fresh("from pyroute2 import IPRoute;" + PACK + "print(IPRoute.__name__)")


def test_a_missing_name_is_missing() -> None:
    assert "False" in run_fresh(PACK + "import pyroute2; print(hasattr(pyroute2, 'nonsense'))")


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("bridge", {"aging_time": 1}, "did you mean 'ageing_time'"),
        ("bridge", {"priority": 1 << 20}, "option priority=1048576 of a bridge"),
        ("vlan", {"idd": 7}, "did you mean 'id'"),
        ("vlan", {"id": "seven"}, "options of a vlan"),
    ],
)
def test_bad_options(kind: str, options: dict[str, int | str | bytes], message: str) -> None:
    with pytest.raises(DeviceError, match=message):
        pack_options(kind, options)


def test_options_read_back() -> None:
    given = {"stp_state": 1, "ageing_time": 500, "vlan_protocol": 0x8100}
    assert read_options("bridge", pack_options("bridge", given)) == given


@given(st.binary(max_size=200))
def test_any_bytes_can_be_walked(data: bytes) -> None:
    for number, content in pairs(data):
        assert 0 <= number <= 0x3FFF
        assert len(content) <= len(data)


@given(st.dictionaries(st.integers(0, 0x3FFF), st.binary(max_size=40), max_size=8))
def test_attributes_come_back(attributes: dict[int, bytes]) -> None:
    packed = b"".join(pack(number, content) for number, content in attributes.items())
    assert walk(packed) == attributes
    assert walk(walk(nest(5, packed))[5]) == attributes


@given(st.binary(min_size=1, max_size=20))
def test_hardware_addresses_come_back(data: bytes) -> None:
    assert mac_bytes(mac_text(data)) == data


def test_short_values() -> None:
    assert u32(b"\1") == 0
    assert u32(None, 7) == 7
    assert text(b"abc\0def") == "abc"
    assert text(None) == ""
