"""TAB in a real bash: commands, options, runs, hosts, recipe files, classes, parameters, plugins."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pexpect
import pytest
from tests.e2e.user import User

RECIPE = """
class Throughput(BaseRecipe):
    mtu = IntParam(default=1500)
    dst_port = IntParam(default=80)
    def test(self): ...

class Latency(BaseRecipe):
    def test(self): ...

def helper(): ...
"""


def shell(user: User, *, rows: int = 40, columns: int = 150) -> pexpect.spawn:
    """An interactive bash with the completion script in force."""
    environment = {**user.environment, "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "PS1": "ready> "}
    environment |= {"TERM": "dumb", "INPUTRC": "/dev/null", "HISTFILE": "/dev/null"}
    child = pexpect.spawn(
        "bash", ["--norc", "--noprofile", "-i"], cwd=str(user.folder), env=environment, encoding="utf-8", timeout=20,
        dimensions=(rows, columns),
    )  # fmt: skip
    child.expect("ready> ")
    child.sendline("bind 'set completion-query-items 0'; bind 'set page-completions off'; bind 'set bell-style none'")
    child.expect("ready> ")
    child.sendline('eval "$(shakeout completion bash)"')
    child.expect("ready> ")
    return child


def completes(user: User, typed: str, ending: str) -> bool:
    """Whether TAB makes the line end like that."""
    child = shell(user)
    try:
        child.send(typed + "\t")
        return child.expect_exact([ending, pexpect.TIMEOUT]) == 0
    finally:
        child.close(force=True)


def offered(user: User, typed: str) -> set[str]:
    """What TAB TAB lists behind *typed*."""
    child = shell(user)
    try:
        child.send(typed + "\t\t")
        child.expect(r"\r\n((?:.*\r\n)+)ready> ")
        return set(child.match.group(1).split())
    finally:
        child.close(force=True)


def record(user: User, run: str) -> Path:
    """A run in the user's store."""
    folder = user.folder / ".state/shakeout/runs" / run
    folder.mkdir(parents=True)
    (folder / "journal.jsonl").write_text(
        json.dumps({"schema": 1, "run": run, "kind": "recipe", "started": "now"}) + "\n"
    )
    return folder


def test_commands(user: User) -> None:
    assert {"run", "runs", "report", "shell", "doctor", "completion"} <= offered(user, "shakeout ")


def test_options(user: User) -> None:
    assert {"--keep", "--live", "--lab", "--pool"} <= offered(user, "shakeout run --")


def test_commands_of_a_group(user: User) -> None:
    assert offered(user, "shakeout runs ") == {"list", "show", "rm"}


def test_runs(user: User) -> None:
    record(user, "20261120-134501-0001")
    record(user, "20261120-134501-0002")
    assert offered(user, "shakeout runs rm ") == {"last", "20261120-134501-0001", "20261120-134501-0002"}
    assert completes(user, "shakeout report la", "last ")


def test_hosts_of_a_run(user: User) -> None:
    folder = record(user, "20261120-134501-0001")
    (folder / "hosts.json").write_text(
        json.dumps({"run": folder.name, "hosts": {"client": "unix:/x", "server": "unix:/y"}})
    )
    assert offered(user, "shakeout shell last ") == {"client", "server"}


def test_pools_and_their_hosts(user: User) -> None:
    for name in ("dut1", "dut2"):
        user.write(f"lab/{name}.yaml", f"host: {{name: {name}, address: {name}.lab}}\n")
    user.write("shakeout.toml", '[pools]\nracks = "lab"\n')
    assert completes(user, "shakeout pool check --pool r", "racks ")
    assert offered(user, "shakeout pool reserve dut") == {"dut1", "dut2"}
    assert completes(user, "shakeout pool release dut1 d", "dut2 ")


def test_a_recipe_file_then_its_classes_without_importing_it(user: User) -> None:
    user.recipe(RECIPE + "\nopen('imported', 'w')\n", "speed.py")
    assert completes(user, "shakeout run sp", "speed.py")
    assert offered(user, "shakeout run speed.py:") == {"Throughput", "Latency"}
    assert completes(user, "shakeout run speed.py:Th", "speed.py:Throughput ")
    assert not (user.folder / "imported").exists()


def test_parameters_behind_the_dashes(user: User) -> None:
    user.recipe(RECIPE)
    assert offered(user, "shakeout run my.py -- ") == {"mtu=", "dst_port="}


def test_plugins_and_schemas(user: User) -> None:
    assert offered(user, "shakeout plugins show Udp") == {"UdpListen", "UdpSend"}
    assert {"pool", "config", "Ping"} <= offered(user, "shakeout schema ")


@pytest.mark.parametrize("word", ["run broken.py:", "runs show ", "plugins show Z"])
def test_nothing_is_offered_and_nothing_said_where_something_is_wrong(user: User, word: str) -> None:
    user.write("broken.py", "class (:\n")
    user.write("shakeout.toml", "no toml [\n")
    child = shell(user)
    try:
        child.send(f"shakeout {word}\t\t")
        child.send("\x15echo quiet\r")
        child.expect("quiet\r\n")
        assert "Traceback" not in child.before
        assert "shakeout:" not in child.before
    finally:
        child.close(force=True)


def test_the_shell_is_known_from_the_environment(user: User) -> None:
    assert "_shakeout_completion" in user.shakeout("completion", SHELL="/bin/bash").out
    assert "#compdef shakeout" in user.shakeout("completion", SHELL="/usr/bin/zsh").out
    assert "function _shakeout_completion" in user.shakeout("completion", "fish", SHELL="/bin/bash").out
    refused = user.shakeout("completion", SHELL="/bin/tcsh")
    assert refused.status == 2
    assert "shakeout completion bash or zsh or fish" in refused.complaint


def test_the_script_is_one_that_bash_understands(user: User) -> None:
    script = user.shakeout("completion", "bash").out
    done = subprocess.run(
        ["bash", "-n"], input=script, text=True, capture_output=True, env=dict(os.environ), check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
