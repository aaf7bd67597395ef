"""`shakeout doctor`: what it tries, what it says where something is missing, what it cleans."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest
from tests.e2e.user import SHAKEOUT, User

pytestmark = pytest.mark.needs("namespaces")


@pytest.fixture
def runtime(user: User, tmp_path: Path) -> Path:
    """Where laboratories have their folders for this user alone."""
    if os.geteuid() == 0:
        return Path("/run/shakeout")
    user.environment["XDG_RUNTIME_DIR"] = str(tmp_path)
    return tmp_path / "shakeout"


def findings(user: User, *words: str) -> dict[str, dict[str, str]]:
    """What it finds, by check."""
    found = json.loads(user.shakeout("doctor", "--format", "json", *words).out)
    return {one["check"]: one for one in found}


@pytest.mark.needs("ping")
def test_all_is_well_here(user: User) -> None:
    ended = user.shakeout("doctor")
    assert (ended.status, ended.err) == (0, "")
    split = [re.split("  +", row, maxsplit=2) for row in ended.out.splitlines()]
    rows = {check: (state, text) for check, state, text in split}
    for check in (
        "python", "namespaces", "files", "ping", "open files", "cgroups", "runs", "uv", "certificates", "pools",
    ):  # fmt: skip
        assert rows[check][0] == "ok", ended.out
    assert " ms, " in rows["namespaces"][1]


def test_leftovers_are_told_of_and_cleaned(user: User, runtime: Path) -> None:
    folder = runtime / "test-leftover"
    folder.mkdir(parents=True, mode=0o700)
    (folder / "lock").touch()
    (folder / "m1.sock").touch()
    try:
        found = findings(user)["leftovers"]
        assert found["state"] == "warning"
        assert "--clean" in found["remedy"]
        ended = user.shakeout("doctor", "--clean")
        assert ended.status == 0
        assert f"removed {folder}: the folder of a laboratory that is gone" in ended.out
        assert not folder.exists()
        assert f"removed {folder}" not in user.shakeout("doctor", "--clean").out
    finally:
        subprocess.run(["rm", "-rf", folder], check=True)


def test_a_kept_laboratory_is_told_of_with_its_run_and_not_cleaned(user: User) -> None:
    user.recipe("class Keep(BaseRecipe):\n    m1 = HostReq()\n    def test(self): pass\n")
    assert user.shakeout("run", "my.py", "--keep").status == 0
    try:
        (run,) = user.runs()
        ended = user.shakeout("doctor", "--clean")
        assert f"is kept by run {run.name} (m1); shakeout runs rm {run.name} removes it" in ended.out
        assert user.shakeout("shell", "last", "m1", "--", "true").status == 0
    finally:
        assert user.shakeout("runs", "rm", "last").status == 0


def test_a_run_that_speaks_of_hosts_that_are_gone_is_cleaned(user: User) -> None:
    user.recipe("class Quick(BaseRecipe):\n    m1 = HostReq()\n    def test(self): pass\n")
    assert user.shakeout("run", "my.py").status == 0
    (run,) = user.runs()
    (run / "hosts.json").write_text(
        json.dumps({"run": run.name, "hosts": {"m1": "unix:/nowhere/m1.sock"}, "kept": True})
    )
    assert f"removed {run.name}: where its hosts were (m1), which are gone" in user.shakeout("doctor", "--clean").out
    assert not (run / "hosts.json").exists()


def test_a_folder_of_runs_that_cannot_be_written(user: User) -> None:
    user.write("file", "not a folder")
    ended = user.shakeout("doctor", SHAKEOUT_RUNS_DIR=str(user.folder / "file" / "runs"))
    assert ended.status == 1
    (row,) = (line for line in ended.out.splitlines() if line.startswith("runs"))
    assert "failed" in row
    assert "SHAKEOUT_RUNS_DIR" in row


@pytest.mark.needs("root")
def test_few_open_files_are_a_warning(user: User) -> None:
    ended = user.command("bash", "-c", f"ulimit -n 500; {SHAKEOUT} doctor --format json")
    (files,) = (one for one in json.loads(ended.out) if one["check"] == "open files")
    assert files["state"] == "warning"
    assert "ulimit" in files["remedy"]
    assert ended.status == 0


@pytest.mark.needs("root", "unshare")
def test_without_the_right_to_make_namespaces_it_says_what_to_do(user: User) -> None:
    # A user namespace without any below it: the same refusal as a hardened kernel's.
    line = "mount -t tmpfs none /run; cd /proc/sys/user; echo 0 > max_user_namespaces; echo 0 > max_net_namespaces;"
    ended = user.command(
        "unshare", "--user", "--map-root-user", "--mount", "bash", "-c", f"{line} exec {SHAKEOUT} doctor"
    )
    assert ended.status == 1, ended.out + ended.err
    (row,) = (line for line in ended.out.splitlines() if line.startswith("namespaces"))
    assert "failed" in row
    assert "What to do: " in row


def test_what_hosts_of_pools_are_reached_with(user: User) -> None:
    found = findings(user)
    assert found["certificates"]["state"] == "ok"
    assert "only hosts via tls need them" in found["certificates"]["text"]
    assert "none are configured" in found["pools"]["text"]
    assert "another Python" in found["uv"]["text"]
    user.write("shakeout.toml", '[pools]\nlab = "lab"\nbad = "bad"\ngone = "gone"\n')
    user.write("lab/dut1.yaml", "host: {name: dut1, address: dut1.lab, via: tls}\n")
    user.write("lab/dut2.yaml", "host: {name: dut2, address: dut2.lab, via: ssh}\n")
    user.write("bad/dut3.yaml", "host: {nmae: dut3}\n")
    found = json.loads(user.shakeout("doctor", "--format", "json", SHAKEOUT_SSH="no-such-ssh").out)
    by_check = {one["check"]: one for one in found}
    assert by_check["pool lab"]["text"].startswith("2 hosts (1 via ssh, 1 via tls) in ")
    for check, text in (
        ("ssh", "no-such-ssh"), ("certificates", "is no folder"), ("pool bad", "dut3.yaml"),
        ("pool gone", "no directory"),
    ):  # fmt: skip
        assert by_check[check]["state"] == "failed", check
        assert text in by_check[check]["text"]
        assert by_check[check]["remedy"]


def test_whose_certificate_there_is_and_what_is_wrong_with_it(user: User) -> None:
    folder = user.folder / ".config/shakeout/certs"
    authority = str(user.folder / "ca")
    assert user.shakeout("certs", "init", "--dir", authority).status == 0
    issue = ("certs", "issue", "--controller", "anna@desk", "--dir", authority, "--out", str(folder))
    assert user.shakeout(*issue).status == 0
    found = findings(user)["certificates"]
    assert found["state"] == "ok"
    assert found["text"].startswith("controller anna@desk, valid until 2")
    (folder / "key.pem").chmod(0o644)
    found = findings(user)["certificates"]
    assert (found["state"], found["remedy"]) == ("warning", f"chmod 600 {folder / 'key.pem'}")
    assert user.shakeout(*issue, "--days", "5").status == 0
    found = findings(user)["certificates"]
    assert found["state"] == "warning"
    assert "certs issue --controller anna@desk" in found["remedy"]
