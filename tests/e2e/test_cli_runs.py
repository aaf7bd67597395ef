"""`shakeout runs`: listing, showing, removing, also of very many, of broken ones, and of those that keep hosts."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from tests.e2e.user import SHAKEOUT, User

RECIPE = """
class Hello(BaseRecipe):
    m1 = HostReq()
    m1.eth0 = DeviceReq(label="net1")
    m2 = HostReq()
    m2.eth0 = DeviceReq(label="net1")

    def test(self):
        self.matched.m1.run("echo häßlich", desc="say ☃ 雪")
"""


def record(
    user: User, run: str, *lines: dict[str, object], command: tuple[str, ...] = ("shakeout", "run", "x.py")
) -> Path:
    """A run in the user's store, as if it had been made."""
    folder = user.folder / ".state" / "shakeout" / "runs" / run
    folder.mkdir(parents=True)
    header = {"schema": 1, "run": run, "kind": "recipe", "started": "2026-11-20T13:45:01.250000Z", "command": command}
    text = "\n".join(json.dumps(line) for line in (header, *lines)) + "\n"
    (folder / "journal.jsonl").write_text(text)
    return folder


def finished(verdict: str = "passed") -> dict[str, object]:
    """The last line of a run that came to its end."""
    return {"event": "run-finished", "t_ns": 5, "verdict": verdict, "counts": {verdict: 1}, "duration_s": 1.5}


def test_no_runs_yet(user: User) -> None:
    ended = user.shakeout("runs", "list")
    assert (ended.status, ended.out) == (0, "")
    assert "no runs" in ended.complaint
    assert json.loads(user.shakeout("runs", "list", "--format", "json").out) == []
    last = user.shakeout("runs", "show", "last")
    assert last.status == 2
    assert "there are no runs in" in last.complaint


def test_list_is_newest_first_a_line_each(user: User) -> None:
    record(
        user, "20261120-134501-0001", finished(), command=("/usr/bin/shakeout", "run", "my tests/ünï.py", "--", "x=1")
    )
    record(user, "20261120-134502-0002", finished("failed"))
    record(user, "20261120-134503-0003", {"event": "part-started", "t_ns": 1, "part": 1})
    (user.folder / ".state/shakeout/runs/junk").mkdir()
    broken = record(user, "20261120-134504-0004")
    (broken / "journal.jsonl").write_text("no journal\n")
    ended = user.shakeout("runs", "list", TZ="UTC")
    assert (ended.status, ended.err) == (0, "")
    heading, *rows = ended.out.splitlines()
    assert heading.split() == ["RUN", "STARTED", "RESULT", "PARTS", "SECONDS", "COMMAND"]
    assert [row.split()[0][-4:] for row in rows] == ["0004", "0003", "0002", "0001"]
    assert "unreadable" in rows[0]
    assert "aborted" in rows[1]
    assert "2026-11-20 13:45  FAIL" in rows[2]
    assert rows[3].endswith("1.50  run 'my tests/ünï.py' -- x=1")


def test_list_as_json_has_everything(user: User) -> None:
    record(user, "20261120-134501-0001", finished("error"))
    (entry,) = json.loads(user.shakeout("runs", "list", "--format", "json").out)
    assert entry["run"] == "20261120-134501-0001"
    assert (entry["state"], entry["verdict"], entry["counts"]) == ("finished", "error", {"error": 1})
    assert entry["command"] == ["shakeout", "run", "x.py"]


def test_control_characters_in_a_command_do_nothing(user: User) -> None:
    record(user, "20261120-134501-0001", finished(), command=("shakeout", "run", "\x1b]0;evil\x07.py"))
    assert "\x1b" not in user.shakeout("runs", "list").out


def test_ten_thousand_runs(user: User) -> None:
    line = json.dumps(finished())
    for number in range(10_000):
        run = f"20261120-134501-{number:04x}"
        folder = user.folder / ".state/shakeout/runs" / run
        folder.mkdir(parents=True)
        header = {"schema": 1, "run": run, "kind": "recipe", "started": "2026-11-20T13:45:01.250000Z"}
        (folder / "journal.jsonl").write_text(f"{json.dumps(header)}\n{line}\n")
    ended = user.shakeout("runs", "list")
    assert len(ended.out.splitlines()) == 31
    assert "9970 older runs are not shown" in ended.complaint
    assert len(user.shakeout("runs", "list", "--limit", "0").out.splitlines()) == 10_001
    assert "means 10000 runs" in user.shakeout("runs", "show", "2026").complaint
    assert "did you mean 'last'?" in user.shakeout("runs", "show", "lst").complaint
    piped = f"{SHAKEOUT} runs list --limit 0 | head -n 1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", piped], env=user.environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (141, "")
    assert done.stdout.startswith("RUN ")


@pytest.mark.parametrize(
    "name", ["last", "20261120-134501-0001", "20261120", "0001", "./.state/shakeout/runs/20261120-134501-0001"]
)
def test_show_finds_a_run_by(user: User, name: str) -> None:
    folder = record(user, "20261120-134501-0001", finished())
    ended = user.shakeout("runs", "show", name)
    assert ended.status == 0, ended.err
    assert f"Journal:  {folder / 'journal.jsonl'}" in ended.out
    assert "State:    finished" in ended.out
    assert "RESULTS SUMMARY:" in ended.out


@pytest.mark.parametrize("name", ["..", ".", "/", "", "../../runs/20261120-134501-0001x", "nope\n", "a" * 500])
def test_names_that_are_no_runs(user: User, name: str) -> None:
    record(user, "20261120-134501-0001", finished())
    for words in (["runs", "show", name], ["runs", "rm", name], ["report", name]):
        ended = user.shakeout(*words)
        assert ended.status == 2
        assert "no run is called" in ended.complaint
    assert len(user.runs()) == 1


def test_show_of_a_run_that_cannot_be_read(user: User) -> None:
    folder = record(user, "20261120-134501-0001")
    (folder / "journal.jsonl").write_text("no journal\n")
    ended = user.shakeout("runs", "show", "last")
    assert ended.status == 2
    assert "State:    unreadable" in ended.out
    assert "is no journal" in ended.out


def test_remove(user: User) -> None:
    for number in (1, 2, 3):
        record(user, f"20261120-134501-000{number}", finished())
    ended = user.shakeout("runs", "rm", "0001", "0002", "20261120-134501-0001")
    assert ended.out.splitlines() == ["removed 20261120-134501-0001", "removed 20261120-134501-0002"]
    assert [run.name for run in user.runs()] == ["20261120-134501-0003"]


def test_remove_is_all_or_nothing(user: User) -> None:
    record(user, "20261120-134501-0001", finished())
    ended = user.shakeout("runs", "rm", "0001", "nope")
    assert ended.status == 2
    assert len(user.runs()) == 1


def test_a_run_that_goes_on_is_not_removed(user: User) -> None:
    folder = record(user, "20261120-134501-0001")
    record(user, "20261120-134501-0002", finished())
    holder = subprocess.Popen(
        ["flock", "-x", str(folder / "journal.jsonl"), "sh", "-c", "echo locked; read line"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"locked\n"
        ended = user.shakeout("runs", "rm", "0002", "0001")
        assert "State:    running" in user.shakeout("runs", "show", "0001").out
        holder.communicate(b"\n")
    assert ended.status == 2
    assert "20261120-134501-0001 is still running" in ended.complaint
    assert len(user.runs()) == 2


@pytest.mark.needs("namespaces")
def test_removing_a_run_removes_the_hosts_that_it_kept(user: User) -> None:
    user.recipe(RECIPE)
    assert user.shakeout("run", "my.py", "--keep").status == 0
    try:
        shown = user.shakeout("runs", "show", "last")
        assert "m1, m2 (kept; shakeout shell " in shown.out
        heading, row = user.shakeout("runs", "list").out.splitlines()
        assert "KEPT HOSTS" in heading
        assert "  m1, m2  " in row
        details = json.loads(user.shakeout("runs", "show", "last", "--format", "json").out)
        lab = Path(details["lab"])
        assert (lab / "m1.sock").is_socket()
        assert oct((user.runs()[0] / "hosts.json").stat().st_mode & 0o777) == "0o600"
    finally:
        ended = user.shakeout("runs", "rm", "last")
    assert ended.out.splitlines()[0].endswith(": m1, m2")
    assert ended.status == 0
    assert not lab.exists()
    assert user.runs() == []


@pytest.mark.needs("namespaces")
def test_of_several_recipes_only_the_last_keeps_its_hosts(user: User) -> None:
    user.recipe(RECIPE + "class Again(Hello):\n    m3 = HostReq()\n")
    try:
        ran = user.shakeout("run", "my.py", "--keep")
        assert "2 passed" in ran.result
        details = json.loads(user.shakeout("runs", "show", "last", "--format", "json").out)
        assert list(details["hosts"]) == ["m1", "m2", "m3"]
    finally:
        user.shakeout("runs", "rm", "last")


@pytest.mark.needs("namespaces")
def test_a_run_that_keeps_nothing_has_no_hosts(user: User) -> None:
    user.recipe(RECIPE)
    assert user.shakeout("run", "my.py").status == 0
    shown = user.shakeout("runs", "show", "last")
    assert "Hosts:" not in shown.out
    assert "say ☃ 雪" in shown.out
    refused = user.shakeout("shell", "last", "m1", "--", "true")
    assert refused.status == 2
    assert "has no hosts now" in refused.complaint
