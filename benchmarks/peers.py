"""What other tools take for the same, where the package index has them; into an environment that is thrown away.

They run `true` on a fresh context of this machine, so there is no network in it, and no namespaces: the fairest
that they can be compared by.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.row import Figures, NotMeasured, Row, interleave

ROUNDS = 200

#: Prints the medians of both sides, in milliseconds; {call} runs `true`, after {setup}.
PROGRAM = """
import json, statistics, subprocess, time
{setup}
def ours():
    {call}
def bare():
    subprocess.run(["bash", "-c", "true"], capture_output=True, check=True)
times = ([], [])
for turn in range({rounds}):
    for side in (0, 1) if turn % 2 else (1, 0):
        begin = time.perf_counter()
        (ours, bare)[side]()
        times[side].append(time.perf_counter() - begin)
print(json.dumps([statistics.median(series) * 1000 for series in times]), flush=True)
{end}
"""

#: What mitogen ships to the other side.
ON_THE_HOST = """
import subprocess
def run_true():
    return subprocess.run(["bash", "-c", "true"], capture_output=True).returncode
"""

EXECNET = {
    "setup": "import execnet\n"
    "gateway = execnet.makegateway('popen')\n"
    "channel = gateway.remote_exec('''\n"
    "import subprocess\n"
    "for command in channel:\n"
    "    done = subprocess.run(['bash', '-c', command], capture_output=True)\n"
    "    channel.send((done.returncode, done.stdout, done.stderr))\n"
    "''')",
    "call": "channel.send('true'); assert channel.receive()[0] == 0",
    "end": "gateway.exit()",
}

MITOGEN = {
    "setup": "import mitogen.master, mitogen.utils\n"
    "from on_the_host import run_true\n"
    "broker = mitogen.master.Broker()\n"
    "router = mitogen.master.Router(broker)\n"
    "context = router.local(python_path=__import__('sys').executable)",
    "call": "assert context.call(run_true) == 0",
    "end": "broker.shutdown(); broker.join()",
}


@contextmanager
def environment(package: str) -> Iterator[Path]:
    """The interpreter of a fresh virtual environment with *package*.

    Raises:
        NotMeasured: it could not be installed.
    """
    with tempfile.TemporaryDirectory() as folder:
        python = Path(folder, "bin", "python")
        install = [
            str(python),
            "-m",
            "pip",
            "--disable-pip-version-check",
            "--no-input",
            "--timeout",
            "15",
            "install",
            "-q",
        ]
        for command in ([sys.executable, "-m", "venv", folder], [*install, package]):
            try:
                done = subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)
            except subprocess.TimeoutExpired:
                raise NotMeasured(f"{package} could not be installed within 90 s") from None
            if done.returncode:
                words = (done.stderr.strip() or done.stdout.strip()).splitlines()
                raise NotMeasured(f"{package} could not be installed: {words[-1] if words else 'no reason given'}")
        yield python


def measured(package: str, program: dict[str, str]) -> Figures:
    """`true` through *package* against a bare spawn in the same process."""
    with environment(package) as python:
        script = Path(python.parent, "measure.py")
        Path(python.parent, "on_the_host.py").write_text(ON_THE_HOST)
        script.write_text(PROGRAM.format(rounds=ROUNDS, **program))
        done = subprocess.run([python, script], capture_output=True, text=True, timeout=60, check=False)
        lines = [line for line in done.stdout.splitlines() if line.startswith("[")]
        if not lines:
            words = done.stderr.strip().splitlines()
            raise NotMeasured(f"{package} did not run: {words[-1] if words else 'it said nothing'}")
        ours, bare = json.loads(lines[-1])
        return Figures(ours, bare, f"median of {ROUNDS}")


def ssh() -> Figures:
    """A new ssh connection for each `true`, as scripts do it, to a machine of this machine."""
    from benchmarks.real_hosts import fleet

    with fleet("ssh") as made:
        (machine,) = made.machines
        login = [*made.access.ssh, machine.name, "true"]
        return interleave(lambda: run_quietly(login), lambda: run_quietly(["bash", "-c", "true"]), 20)


def run_quietly(command: list[str]) -> None:
    """Run *command*, which must succeed."""
    subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=True)


def lnst() -> Figures:
    """Its agent must be started as a service of each host, which is not done for a benchmark."""
    raise NotMeasured("lnst needs its agents set up on hosts of their own by hand")


def rows() -> Iterable[Row]:
    """Peers of `host.run("true")`; without targets: these are not ours."""
    yield Row("peer: execnet, true in a local gateway / subprocess.run", lambda: measured("execnet", EXECNET))
    yield Row("peer: mitogen, true in a local context / subprocess.run", lambda: measured("mitogen", MITOGEN))
    yield Row("peer: lnst, true on an agent / subprocess.run", lnst)
    yield Row("peer: true over ssh / subprocess.run", ssh)
