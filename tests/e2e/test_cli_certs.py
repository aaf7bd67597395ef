"""`shakeout certs`, and a recipe that runs with what it has made."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
from tests.e2e.user import SHAKEOUT, User


@pytest.fixture
def owner(user: User) -> User:
    """Somebody who has a CA."""
    user.environment["XDG_DATA_HOME"] = str(user.folder / ".data")
    user.environment["HOME"] = str(user.folder)
    made = user.shakeout("certs", "init")
    assert made.status == 0, made.err
    assert str(user.folder / ".data/shakeout/ca") in made.out
    return user


def listed(user: User) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(user.shakeout("certs", "list", "--format", "json").out)
    return found


def test_a_second_ca_does_not_replace_the_first(owner: User) -> None:
    again = owner.shakeout("certs", "init")
    assert again.status == 2
    assert "give another folder with --dir" in again.complaint
    assert owner.shakeout("certs", "init", "--dir", "other").status == 0


def test_a_folder_that_is_ready_to_be_copied(owner: User) -> None:
    made = owner.shakeout("certs", "issue", "--host", "dut1", "--address", "192.0.2.7")
    assert made.status == 0, made.err
    folder = owner.folder / "certs-dut1"
    assert {file.name for file in folder.iterdir()} == {"cert.pem", "key.pem", "ca.pem", "crl.pem"}
    assert [(folder / name).stat().st_mode & 0o777 for name in ("key.pem", "cert.pem")] == [0o600, 0o644]
    assert "scp -p certs-dut1/*.pem root@192.0.2.7:/etc/shakeout/certs/" in made.out
    assert 'host: {name: dut1, address: "192.0.2.7:9999", via: tls}' in made.out


def test_a_renewed_certificate_is_for_the_same_addresses(owner: User) -> None:
    owner.shakeout("certs", "issue", "--host", "dut1", "--address", "192.0.2.7", "--address", "dut1.lab")
    again = owner.shakeout("certs", "issue", "--host", "dut1")
    assert "It is also for 192.0.2.7, dut1.lab, as the one before was; --address says otherwise.\n" in again.out
    assert listed(owner)[-1]["addresses"] == ["192.0.2.7", "dut1.lab"]
    moved = owner.shakeout("certs", "issue", "--host", "dut1", "--address", "192.0.2.8")
    assert "as the one before" not in moved.out
    assert listed(owner)[-1]["addresses"] == ["192.0.2.8"]


def test_where_shakeout_looks_for_a_controllers_certificate(owner: User) -> None:
    made = owner.shakeout("certs", "issue", "--controller", "anna@desk", "--out", "~/.config/shakeout/certs")
    assert made.status == 0, made.err
    assert made.out.endswith("That is where shakeout looks for it.\n")
    assert (owner.folder / ".config/shakeout/certs/key.pem").exists()


def test_renewing_revoking_and_the_list(owner: User) -> None:
    owner.shakeout("certs", "issue", "--host", "dut1", "--days", "10")
    owner.shakeout("certs", "issue", "--controller", "desk")
    table = owner.shakeout("certs", "list")
    assert re.search(r"^dut1 +host +valid ", table.out, re.MULTILINE)
    assert re.fullmatch(
        r"The certificate of host dut1 expires on \S+: shakeout certs issue --host dut1\n", table.err
    ), table.err
    renewed = owner.shakeout("certs", "issue", "--host", "dut1", "--revoke")
    assert "Controllers need it (desk)" in renewed.out
    assert [(each["name"], each["state"]) for each in listed(owner)] == [
        ("dut1", "revoked"), ("desk", "valid"), ("dut1", "valid"),
    ]  # fmt: skip
    gone = owner.shakeout("certs", "revoke", "desk")
    assert re.search(r"Hosts need it:\n  scp \S+/crl.pem root@dut1:/etc/shakeout/certs/\n", gone.out), gone.out
    assert owner.shakeout("certs", "list").err == ""
    assert "was revoked before" in owner.shakeout("certs", "revoke", str(listed(owner)[1]["serial"])).out


def test_the_list_tells_which_is_the_newest_and_what_each_is_for(owner: User) -> None:
    """Both are valid; somebody who looks for the one in use must be told."""
    owner.shakeout("certs", "issue", "--host", "dut1", "--address", "dut1.lab", "--address", "192.0.2.7")
    owner.shakeout(
        "certs", "issue", "--controller", "dut1", "--out", "elsewhere"
    )  # the same name in the other role replaces nothing
    owner.shakeout("certs", "issue", "--host", "dut1")
    table = owner.shakeout("certs", "list")
    rows = [re.split(r"  +", row) for row in table.out.splitlines()]
    assert [(row[0], row[1], row[2]) for row in rows] == [
        ("NAME", "ROLE", "STATE"), ("dut1", "host", "superseded"), ("dut1", "controller", "valid"),
        ("dut1", "host", "valid"),
    ]  # fmt: skip
    assert [row[5].strip() for row in rows if row[1] == "host"] == ["dut1.lab, 192.0.2.7"] * 2
    former, other, newest = listed(owner)
    assert (former["state"], former["superseded_by"]) == ("valid", newest["serial"])
    assert (other["superseded_by"], newest["superseded_by"]) == (None, None)
    owner.shakeout("certs", "revoke", str(newest["serial"]))
    assert [each["superseded_by"] for each in listed(owner)] == [None, None, None]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["issue"], "give either --host NAME or --controller NAME"),
        (["issue", "--host", "a", "--controller", "b"], "give either --host NAME or --controller NAME"),
        (["issue", "--controller", "a", "--address", "b"], "--address goes with --host"),
        (["issue", "--host", "../x"], "'../x' cannot be a host's name"),
        (["issue", "--host", ""], "'' cannot be a host's name"),
        (["issue", "--host", "a", "--address", "192.0.2.7:9999"], "'192.0.2.7:9999' is no address"),
        (["issue", "--host", "a", "--days", "0"], "cannot be valid for 0 days"),
        (["issue", "--host", "a", "--out", "/proc/no"], "give another folder with --out"),
        (["revoke", "dut"], "no certificate is called 'dut'"),
        (["list", "--dir", "nowhere"], "make one with shakeout certs init"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_paragraph(owner: User, words: list[str], says: str) -> None:
    ended = owner.shakeout("certs", *words)
    assert ended.status == 2
    assert says in ended.complaint


def test_an_agent_without_what_it_needs(owner: User) -> None:
    """A folder that is none, of a controller, with a key for all to read; an address that is not its own."""
    owner.shakeout("certs", "issue", "--host", "dut1")
    owner.shakeout("certs", "issue", "--controller", "desk")
    key = owner.folder / "certs-dut1/key.pem"

    def agent(certs: str, listen: str = "127.0.0.1:0") -> str:
        ended = owner.shakeout("agent", "--listen", listen, "--certs", certs, "--state", str(owner.folder / "state"))
        assert ended.status == 2
        return ended.complaint

    assert "shakeout certs issue --host NAME" in agent("nothing")
    assert "it is a controller's, and a host's is needed" in agent("certs-desk")
    assert "cannot listen at 192.0.2.1:9999: Cannot assign" in agent("certs-dut1", "192.0.2.1:9999")
    assert "'[::1' is no address" in agent("certs-dut1", "[::1")
    key.chmod(0o644)
    assert f"chmod 600 {key}" in agent("certs-dut1")


@pytest.mark.needs("root", "unshare", "ip")
def test_a_recipe_runs_on_hosts_over_tls(owner: User) -> None:
    """From nothing to a verdict, as the page says; the agent is in a namespace together with the run."""
    user = owner
    user.shakeout("certs", "issue", "--controller", "desk", "--out", str(user.folder / ".config/shakeout/certs"))
    user.shakeout("certs", "issue", "--host", "dut1")
    pool = user.folder / "pool"
    pool.mkdir()
    (pool / "dut1.yaml").write_text("host: {name: dut1, address: localhost:7777, via: tls}\n")
    user.recipe(
        """
        class Change(BaseRecipe):
            m1 = HostReq()
            def test(self):
                self.matched.m1.br0 = BridgeDevice()
                assert "br0" in self.matched.m1.run("ip link").stdout
        """
    )
    script = f"""
    ip link set lo up
    {SHAKEOUT} agent --listen localhost:7777 --certs certs-dut1 --state state > said 2>&1 &
    while ! grep -q listening said; do :; done
    {SHAKEOUT} run my.py --pool pool; status=$?
    ip -br link; kill %1; wait; exit $status
    """
    done = subprocess.run(
        ["unshare", "--net", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child", "bash", "-mc", script],
        cwd=user.folder, env=user.environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr + Path(user.folder / "said").read_text()
    assert "RESULT PASS" in done.stdout
    assert "br0" not in done.stdout.partition("RESULT PASS")[2]
