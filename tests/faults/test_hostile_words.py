"""What a lying agent says ends up before people: it can neither rule their terminals nor forge lines."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from tests.e2e.user import User
from tests.faults.liar import Liar, Line, welcome

from shakeout.cli.program import message, shakeout_command
from shakeout.errors import UndoFailed
from shakeout.hosts.loop import LoopThread
from shakeout.hosts.unix import connect_unix
from shakeout.testing.connection import Connected
from shakeout.wire.messages import (
    Answer,
    DeviceCall,
    Ended,
    EndSession,
    Hello,
    Inspect,
    JobDone,
    Refusal,
    Refused,
    Reserve,
    StartJob,
    Sync,
    SyncReply,
    Unreserve,
)
from shakeout.wire.parts import Reservation, Step
from shakeout.wire.plain import pack

EVIL = "\x1b]0;boo\x07\x1b[2J\u202e\r\nforged: yes"
INTERFACES: list[dict[str, Any]] = [
    {"name": f"eth0{EVIL}", "hwaddr": "52:54:00:00:00:01", "candidate": True, "driver": EVIL, "connection": True},
    {"name": f"left\nforged: yes\n{EVIL}", "kind": f"veth{EVIL}", "master": EVIL},
]
INSPECTION: dict[str, Any] = {
    "hostname": EVIL,
    "arch": EVIL,
    "interfaces": INTERFACES,
    "neighbours": {EVIL: [{"hwaddr": EVIL}]},
    "lldp": [{"interface": f"eth0{EVIL}", "system": EVIL}],
}


def lie(told: Any, line: Line) -> None:
    if isinstance(told, Hello):
        props: dict[str, Any] = {"kernel": EVIL, EVIL: EVIL, "addresses": [EVIL]}
        line.say(welcome(props=props, holder=EVIL, reservation=Reservation(EVIL, EVIL, 1e300), boot_id=EVIL))
    elif isinstance(told, Inspect):
        line.say(Answer(told.id, pack(INSPECTION)))
    elif isinstance(told, Reserve | Unreserve):
        line.say(Answer(told.id, pack({"owner": EVIL, "holder": EVIL})))
    elif isinstance(told, DeviceCall):
        line.say(Refusal(told.id, "device", EVIL, 5, EVIL))
    elif isinstance(told, StartJob):
        line.say(JobDone(told.id, None, None, 1, 2, error=EVIL))
    elif isinstance(told, Sync):
        line.say(SyncReply(told.sequence, told.t_ns, told.t_ns))
    elif isinstance(told, EndSession):
        line.say(Ended((Step(EVIL, EVIL),), (EVIL,)))


def pool(folder: Path, agent: str) -> Path:
    port = '[{id: eth0, hwaddr: "52:54:00:00:00:01", network: n, params: {driver: veth}}]'
    (folder / "pool").mkdir()
    text = f"host: {{name: liar, address: {agent}, via: unix}}\ninterfaces: {port}\n"
    (folder / "pool" / "liar.yaml").write_text(text)
    return folder / "pool"


def assert_harmless(text: str) -> None:
    assert not [char for char in text if not char.isprintable() and char not in "\n\t"]
    assert not [line for line in text.splitlines() if line.startswith("forged")]


@pytest.mark.parametrize("words", ["check", "show liar", "reserve liar --for 1h", "release liar"])
def test_commands_that_show_a_host(words: str, tmp_path: Path) -> None:
    with Liar(tmp_path / "s", lie, whole=True) as liar:
        arguments = ["pool", *words.split(), "--pool", str(pool(tmp_path, liar.path))]
        done = CliRunner().invoke(shakeout_command, arguments, standalone_mode=False, obj={})
    assert done.exception is None, done.exception
    assert "liar" in done.output
    assert_harmless(done.output)
    assert len(done.output) < 3000


def test_the_file_of_a_host_that_says_yaml(tmp_path: Path) -> None:
    with Liar(tmp_path / "s", lie, whole=True) as liar:
        arguments = ["pool", "add", liar.path, "--pool", str(tmp_path / "new")]
        done = CliRunner().invoke(shakeout_command, arguments, standalone_mode=False, obj={})
    assert done.exception is None, done.exception
    assert_harmless(done.output)
    (file,) = (tmp_path / "new").iterdir()
    assert file.name == "__0_boo___2J__forged__yes.yaml"
    assert_harmless(file.read_text())


@pytest.mark.parametrize(
    "nonsense",
    [{"interfaces": 5}, {"interfaces": ["eth0"]}, {"interfaces": [{"name": [1]}]}, {"interfaces": [{}]},
     {"neighbours": [1]}, {"lldp": 1}, {"interfaces": [{"name": f"eth{number}"} for number in range(50_000)]}],
)  # fmt: skip
def test_an_inspection_that_is_none(nonsense: dict[str, Any], tmp_path: Path) -> None:
    def tell(told: Any, line: Line) -> None:
        line.say(Answer(told.id, pack(nonsense))) if isinstance(told, Inspect) else lie(told, line)

    with Liar(tmp_path / "s", tell, whole=True) as liar:
        arguments = ["pool", "add", liar.path, "--pool", str(tmp_path / "new")]
        added = CliRunner().invoke(shakeout_command, arguments, standalone_mode=False, obj={})
        arguments = ["pool", "check", "--pool", str(pool(tmp_path, liar.path))]
        checked = CliRunner().invoke(shakeout_command, arguments, standalone_mode=False, obj={})
    assert isinstance(added.exception, Exception)
    assert "makes no sense" in message(added.exception)
    assert not (tmp_path / "new").exists()
    assert "makes no sense" in checked.output


@pytest.mark.parametrize("answer", [Refused("lease", EVIL, holder=EVIL), Refused("role", EVIL), [EVIL, 1]])
def test_why_there_is_no_session(answer: Any, tmp_path: Path) -> None:
    with Liar(tmp_path / "s", lambda told, line: line.pack(answer), whole=True) as liar:
        loop = LoopThread()
        try:
            with pytest.raises(Exception) as told:
                Connected("m1", connect_unix(liar.path), loop.reactor)
        finally:
            loop.close()
    assert_harmless(message(told.value))


def test_jobs_and_devices(tmp_path: Path) -> None:
    with Liar(tmp_path / "s", lie, whole=True) as liar:
        loop = LoopThread()
        try:
            connected = Connected("m1", connect_unix(liar.path), loop.reactor)
            job = connected.host.run("true")
            with pytest.raises(Exception) as told:
                connected.host.eth0.mtu = 1400
            with pytest.raises(UndoFailed) as failed:
                connected.end()
        finally:
            loop.close()
    assert_harmless(message(failed.value))
    assert not [char for char in job.reason + message(told.value) if char in "\x1b\x07\r\u202e"]


@pytest.mark.parametrize("command", ["list", "check dut1"])
def test_files_of_a_pool_that_somebody_else_has_written(command: str, tmp_path: Path) -> None:
    escaped = json.dumps(EVIL)
    (tmp_path / "pool").mkdir()
    text = f'{{"host": {{"name": "dut1", "address": {escaped}, "via": "tls"}}, "params": {{"rack": {escaped}}}}}'
    (tmp_path / "pool" / "dut1.json").write_text(text)
    done = User(tmp_path).shakeout("pool", *command.split(), "--pool", "pool")
    assert done.out + done.err
    assert_harmless(done.out + done.err)
