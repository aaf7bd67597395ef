"""What mypy knows of parameters is what docs/how-to/typing.md says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SNIPPET = """
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Any, assert_type

from shakeout.params import *
from shakeout.params import Params, bind


class Vlan(Param[int]):
    def convert(self, value: object) -> int:
        return int(str(value))


class Recipe:
    mtu = IntParam(default=1500, minimum=68)
    streams = IntParam(desc="how many")
    dst = IpParam(mandatory=True)
    sizes = ListParam(IntParam(), default=[64])
    anything = ListParam(mandatory=True)
    limits = DictParam(FloatParam())
    mode = ChoiceParam(["tcp", "udp"], default="tcp")
    target = HostnameOrIpParam(mandatory=True)
    file = PathParam(default="/tmp")
    period = DurationParam(default="1m30s")
    quiet = BoolParam(default=False)
    vlan = Vlan(default=1)
    params: Params


r = Recipe()
assert_type(r.mtu, int)
assert_type(r.streams, int | None)
assert_type(r.dst, IPv4Address | IPv6Address)
assert_type(r.sizes, list[int])
assert_type(r.anything, list[Any])
assert_type(r.limits, dict[str, float] | None)
assert_type(r.mode, str)
assert_type(r.target, str | IPv4Address | IPv6Address)
assert_type(r.file, Path)
assert_type(r.period, float)
assert_type(r.quiet, bool)
assert_type(r.vlan, int)
assert_type(Recipe.mtu, IntParam[int])
r.mtu = "9000"
"""

WRONG = """
from shakeout.params import IntParam

a = IntParam(defualt=1)
b = IntParam(default=[])
"""


@pytest.mark.timeout(180)
def test_mypy_knows_the_types_of_values(tmp_path: Path) -> None:
    (tmp_path / "right.py").write_text(SNIPPET)
    (tmp_path / "wrong.py").write_text(WRONG)
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "right.py", "wrong.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    errors = [line for line in done.stdout.splitlines() if ": error:" in line]
    assert [line.split(":")[0:2] for line in errors] == [["wrong.py", "4"], ["wrong.py", "5"]], done.stdout
    assert 'did you mean "default"' in errors[0]
