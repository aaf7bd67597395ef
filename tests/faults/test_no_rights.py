"""Without root: the same in user namespaces; what cannot be there is said clearly; without those, what is missing."""

from __future__ import annotations

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.faults.command import RECIPE, recipe

pytestmark = pytest.mark.needs("root", "namespaces", "setpriv", "ping", "ip")

ROOT = Path(__file__).resolve().parents[2]
NOBODY = 65534
AS_NOBODY = ("setpriv", "--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups", "--no-new-privs")


class Nobody:
    """A user without rights, with a shakeout that it can read.

    Attributes:
        folder: its own.
    """

    def __init__(self, folder: Path, python: str) -> None:
        self.folder = folder
        self._python = python
        os.chown(folder, NOBODY, NOBODY)

    def shakeout(self, *arguments: str, before: str = "") -> subprocess.CompletedProcess[str]:
        """Run the command; *before* is shell that comes first, in the same process."""
        command = f'{before}\nexec "$0" -m shakeout.cli "$@"'
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": f"{self.folder.parent}/packages",
            "HOME": str(self.folder),
            "LANG": os.environ.get("LANG", "C.UTF-8"),
        }
        return subprocess.run(
            [*AS_NOBODY, "bash", "-c", command, self._python, *arguments],
            cwd=self.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=50,
        )


@pytest.fixture(scope="module")
def installed() -> Iterator[tuple[Path, str]]:
    """A folder that everybody can read, with shakeout and what it needs; and a Python that everybody can run."""
    python = _python_for_all()
    if python is None:
        pytest.skip("needs a Python of this version that every user can run")
    folder = Path(tempfile.mkdtemp(prefix="shakeout-no-rights-"))
    folder.chmod(0o755)
    try:
        packages = folder / "packages"
        shutil.copytree(ROOT / "src" / "shakeout", packages / "shakeout", ignore=shutil.ignore_patterns("__pycache__"))
        for name in _requirements("shakeout"):
            for file in importlib.metadata.files(name) or ():
                if ".." not in file.parts and file.suffix != ".pyc":
                    (packages / file.parent).mkdir(parents=True, exist_ok=True)
                    shutil.copy(str(file.locate()), packages / file)
        yield folder, python
    finally:
        shutil.rmtree(folder)


def _requirements(name: str, found: set[str] | None = None) -> set[str]:
    """All distributions that *name* needs, itself not."""
    found = set() if found is None else found
    for text in importlib.metadata.requires(name) or ():
        match = re.match(r"[A-Za-z0-9_.-]+", text)
        if match is None or "extra ==" in text or match.group() in found:
            continue
        try:
            importlib.metadata.distribution(match.group())
        except importlib.metadata.PackageNotFoundError:
            continue
        found.add(match.group())
        _requirements(match.group(), found)
    return found


def _python_for_all() -> str | None:
    wanted = f"{sys.version_info.major}.{sys.version_info.minor}"
    code = "import sys; print('%d.%d' % sys.version_info[:2])"
    for candidate in (sys.executable, f"/usr/bin/python{wanted}", "/usr/bin/python3"):
        command = [*AS_NOBODY, "bash", "-c", '"$0" -c "$1"', candidate, code]
        done = subprocess.run(command, cwd="/", capture_output=True, text=True, check=False)
        if done.returncode == 0 and done.stdout.strip() == wanted:
            return candidate
    return None


@pytest.fixture
def nobody(installed: tuple[Path, str]) -> Iterator[Nobody]:
    folder = Path(tempfile.mkdtemp(dir=installed[0]))
    try:
        yield Nobody(folder, installed[1])
    finally:
        shutil.rmtree(folder)
        shutil.rmtree(f"/tmp/shakeout-{NOBODY}", ignore_errors=True)


def test_hello_passes(nobody: Nobody) -> None:
    shutil.copy(ROOT / "examples" / "hello.py", nobody.folder)
    done = nobody.shakeout("run", "hello.py")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "RESULT PASS" in done.stdout
    assert list(Path(f"/tmp/shakeout-{NOBODY}").iterdir()) == []


def test_hosts_are_as_they_should_be(nobody: Nobody) -> None:
    """Own processes, file systems, network; and undo works."""
    body = """
assert m1.run("echo $$ > /tmp/x; cat /etc/hostname > /etc/shakeout-test; hostname").stdout == "m1\\n"
assert int(m1.run("ls -d /proc/[0-9]* | wc -l").stdout) < 20
m1.procfs_set("sys/net/ipv4/ip_forward", 1)
m1.br0 = BridgeDevice()
m1.send_file("r.py", "/tmp/")
m1.run(TcpListen(port=1, connections=0), bg=True)
"""
    recipe(nobody.folder, body)
    done = nobody.shakeout("run", "r.py")
    assert done.returncode == 0, done.stdout + done.stderr
    assert not Path("/etc/shakeout-test").exists()


def test_another_user_is_a_clear_error(nobody: Nobody) -> None:
    recipe(nobody.folder, "job = m1.run('id', user='daemon')\ntell(job.reason)\nm1.run('true', user='root')")
    done = nobody.shakeout("run", "r.py")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "cannot run jobs as 'daemon'" in done.stdout
    assert "an unprivileged laboratory has one user only; run shakeout as root, or leave `user` out" in done.stdout


def test_without_user_namespaces_it_says_what_is_missing(nobody: Nobody) -> None:
    """In a user namespace that allows no further ones (setting the sysctl here would be for the whole machine)."""
    recipe(nobody.folder, "pass", head=RECIPE)
    forbid = """
exec unshare --user --map-root-user bash -c '
    echo 0 > /proc/sys/user/max_user_namespaces
    exec setpriv --bounding-set -all --inh-caps -all --no-new-privs "$0" -m shakeout.cli "$@"
' "$0" "$@"
"""
    done = nobody.shakeout("run", "r.py", before=forbid)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert "user.max_user_namespaces" in done.stderr
    assert "run as root" in done.stderr
    assert not (nobody.folder / ".local/state/shakeout/runs").exists()
