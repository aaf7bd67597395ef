"""Bundles: what is in them, for which hosts, and what becomes of them there."""

from __future__ import annotations

import fcntl
import hashlib
import io
import os
import subprocess
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path

import pytest

from shakeout.errors import AgentUnreachable, UsageError
from shakeout.hosts import bootstrap, wheels
from shakeout.hosts.bootstrap import HEAD_SIZE, platform_tag, suits
from shakeout.hosts.bundle import Bundles

MARK = "<mark>"


def listed(folder: Path) -> list[str]:
    return [entry.name for entry in folder.iterdir()]


def names_in(data: bytes) -> list[str]:
    with tarfile.open(fileobj=io.BytesIO(zlib.decompress(data, 31))) as archive:
        return archive.getnames()


@pytest.mark.parametrize(
    ("made_for", "here", "fits"),
    [
        ("cpython-311 x86_64 glibc-2.17", "cpython-311 x86_64 glibc-2.36", True),
        ("cpython-311 x86_64 glibc-2.36", "cpython-311 x86_64 glibc-2.36", True),
        ("cpython-311 x86_64 glibc-2.36", "cpython-311 x86_64 glibc-2.5", False),
        ("cpython-311 x86_64 glibc-2.17", "cpython-311 x86_64 musl", False),
        ("cpython-311 x86_64 musl", "cpython-311 x86_64 musl", True),
        ("cpython-311 x86_64 glibc-2.17", "cpython-312 x86_64 glibc-2.36", False),
        ("cpython-313 x86_64 glibc-2.17", "cpython-313t x86_64 glibc-2.36", False),
        ("cpython-311 x86_64 glibc-2.17", "cpython-311 aarch64 glibc-2.36", False),
    ],
)
def test_what_runs_where(made_for: str, here: str, fits: bool) -> None:
    assert suits(made_for.split(), here.split()) is fits


def test_a_bundle_for_hosts_like_this_one(tmp_path: Path) -> None:
    bundles = Bundles(tmp_path)
    assert bundles.known() == []
    bundle, data = bundles.ready_for(platform_tag())
    assert bundles.known() == [bundle]
    names = names_in(data)
    assert {"shakeout/agent/doorway.py", "pyroute2/__init__.py", "msgspec/__init__.py"} <= set(names)
    (compiled,) = [name for name in names if name.endswith(".so")]
    assert compiled.startswith(f"msgspec/_core.{sys.implementation.cache_tag}")
    assert not [name for name in names if name.startswith(("shakeout/cli", "shakeout/testing"))]
    assert bundles.ready_for(platform_tag()) == (bundle, data)
    again, _ = Bundles(tmp_path / "elsewhere").ready_for(platform_tag())
    assert again.sha256 == bundle.sha256


def test_a_damaged_bundle_is_made_anew(tmp_path: Path) -> None:
    bundle, data = Bundles(tmp_path).ready_for(platform_tag())
    bundle.path.write_bytes(data[:1000])
    assert Bundles(tmp_path).ready_for(platform_tag()) == (bundle, data)


def wheel_of_msgspec(folder: Path, python: str, platform: str, module: str) -> None:
    """A package as an index would have it, for uv to find in *folder* without a network."""
    version = metadata.version("msgspec")
    about = f"msgspec-{version}.dist-info"
    tags = [f"{python}-{python}-{one}" for one in platform.split(".")]
    files = {
        "msgspec/__init__.py": "",
        f"msgspec/{module}": "compiled",
        f"{about}/METADATA": f"Metadata-Version: 2.1\nName: msgspec\nVersion: {version}\n",
        f"{about}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: false\n" + "".join(f"Tag: {tag}\n" for tag in tags),
    }
    files[f"{about}/RECORD"] = "".join(f"{name},,\n" for name in [*files, f"{about}/RECORD"])
    with zipfile.ZipFile(folder / f"msgspec-{version}-{python}-{python}-{platform}.whl", "w") as wheel:
        for name, text in files.items():
            wheel.writestr(name, text)


def test_a_bundle_for_another_python_and_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = "_core.cpython-312-aarch64-linux-gnu.so"
    wheel_of_msgspec(tmp_path, "cp312", "manylinux_2_17_aarch64.manylinux2014_aarch64", module)
    monkeypatch.setenv("UV_NO_INDEX", "1")
    monkeypatch.setenv("UV_NO_CONFIG", "1")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))
    monkeypatch.setenv("UV_FIND_LINKS", str(tmp_path))
    bundles = Bundles(tmp_path)
    bundle, data = bundles.ready_for(("cpython-312", "aarch64", "glibc-2.31"))
    assert bundle.tag == ("cpython-312", "aarch64", "glibc-2.17")
    assert [name for name in names_in(data) if name.endswith(".so")] == [f"msgspec/{module}"]
    assert "shakeout/agent/doorway.py" in names_in(data)
    (tmp_path / "nothing").mkdir()
    monkeypatch.setenv("UV_FIND_LINKS", str(tmp_path / "nothing"))
    assert bundles.ready_for(("cpython-312", "aarch64", "glibc-2.28"))[0] == bundle
    with pytest.raises(AgentUnreachable, match=r"uv could not get msgspec==.* cpython-399 on x86_64 with musl"):
        bundles.ready_for(("cpython-399", "x86_64", "musl"))


def test_hosts_for_which_there_is_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(AgentUnreachable, match=r"pypy39 on x86_64 .* nothing can be sent there"):
        Bundles(tmp_path).ready_for(("pypy39", "x86_64", "glibc-2.31"))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(wheels.sys, "executable", str(tmp_path / "python"))
    with pytest.raises(UsageError, match=r"uv, .* is not there: install it here with pip install 'shakeout\[ssh\]'"):
        Bundles(tmp_path).ready_for(("cpython-399", "x86_64", "glibc-2.31"))


def test_a_cache_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="SHAKEOUT_CACHE"):
        Bundles(tmp_path / "file").ready_for(platform_tag())


# -- on the host ------------------------------------------------------------------------------------------


def small_bundle(*more: tuple[str, bytes]) -> tuple[str, bytes]:
    """A bundle with an agent that only says it is ready: its hash, and the archive."""
    result = io.BytesIO()
    agent = b"def enter(ready, connection): ready()\n"
    files = [("shakeout/__init__.py", b""), ("shakeout/agent/__init__.py", b""), ("shakeout/agent/doorway.py", agent)]
    with tarfile.open(fileobj=result, mode="w") as archive:
        for name, data in [*files, *more]:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    whole = result.getvalue()
    packer = zlib.compressobj(6, zlib.DEFLATED, 31)
    return hashlib.sha256(whole).hexdigest(), packer.compress(whole) + packer.flush()


@contextmanager
def host_end(cache: Path, known: list[tuple[str, str, str, str]]) -> Iterator[subprocess.Popen[bytes]]:
    """What runs on a host, with a cache of its own."""
    program = Path(bootstrap.__file__).read_text() + f"\nbegin({MARK!r}, {known!r})\n"
    process = subprocess.Popen(
        [sys.executable, "-I", "-c", program, "", "", "", "", "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, env={**os.environ, "XDG_CACHE_HOME": str(cache)},
    )  # fmt: skip
    with process:
        try:
            yield process
        finally:
            if not process.stdin.closed:  # type: ignore[union-attr]
                process.stdin.close()  # type: ignore[union-attr]


def answer(process: subprocess.Popen[bytes]) -> list[str]:
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith(MARK.encode()):
            return line.decode().split()[1:]
    return []


def send(process: subprocess.Popen[bytes], sha: str, data: bytes, *, most: int | None = None) -> None:
    assert process.stdin is not None
    process.stdin.write((f"{sha} {len(data):012d}\n".encode() + data)[:most])
    process.stdin.flush()


def test_what_is_sent_once_is_there_the_next_time(tmp_path: Path) -> None:
    sha, data = small_bundle()
    known = [(*platform_tag(), sha)]
    with host_end(tmp_path, known) as process:
        assert answer(process)[:4] == ["need", *platform_tag()]
        send(process, sha, data)
        assert answer(process) == ["ready"]
    assert (tmp_path / "shakeout" / sha / "shakeout/agent/doorway.py").is_file()
    with host_end(tmp_path, known) as process:
        assert answer(process) == ["ready"]
    assert listed(tmp_path / "shakeout") == [sha]
    with host_end(tmp_path, [("cpython-310", "x86_64", "musl", sha)]) as process:
        assert answer(process)[0] == "need"  # that one is for others


@pytest.mark.parametrize("most", [0, 10, HEAD_SIZE, HEAD_SIZE + 50])
def test_an_upload_that_ends_in_the_middle_leaves_nothing(tmp_path: Path, most: int) -> None:
    with host_end(tmp_path, []) as process:
        assert answer(process)[0] == "need"
        send(process, *small_bundle(), most=most)
    assert process.returncode == 1
    assert listed(tmp_path / "shakeout") == []


@pytest.mark.parametrize("where", ["shakeout/../../x", "/x", "../x", "shakeout//x"])
def test_files_that_would_lie_elsewhere_are_refused(tmp_path: Path, where: str) -> None:
    with host_end(tmp_path / "cache", []) as process:
        assert answer(process)[0] == "need"
        send(process, *small_bundle((where, b"x")))
        assert answer(process)[0] == "error"
    assert listed(tmp_path) == ["cache"]
    assert listed(tmp_path / "cache/shakeout") == []


@pytest.mark.parametrize("damage", ["hash", "bytes", "head"])
def test_what_is_damaged_on_the_way_is_refused(tmp_path: Path, damage: str) -> None:
    sha, data = small_bundle()
    with host_end(tmp_path, []) as process:
        assert answer(process)[0] == "need"
        if damage == "hash":
            send(process, "0" * 64, data)
        elif damage == "bytes":
            send(process, sha, data[:-20] + bytes(20))
        else:
            assert process.stdin is not None
            process.stdin.write(b"\xff" * HEAD_SIZE)
            process.stdin.flush()
        assert answer(process)[0] == "error"
    assert listed(tmp_path / "shakeout") == []


def test_two_uploads_at_once_do_not_disturb_each_other(tmp_path: Path) -> None:
    sha, data = small_bundle(("shakeout/large.py", os.urandom(1 << 20)))
    with host_end(tmp_path, []) as one, host_end(tmp_path, []) as two:
        assert answer(one)[0] == answer(two)[0] == "need"
        send(one, sha, data, most=len(data) // 2)
        send(two, sha, data)
        assert answer(two) == ["ready"]
        assert one.stdin is not None
        one.stdin.write((f"{sha} {len(data):012d}\n".encode() + data)[len(data) // 2 :])
        one.stdin.flush()
        assert answer(one) == ["ready"]
    assert listed(tmp_path / "shakeout") == [sha]


def test_what_is_left_of_a_bundle_is_replaced(tmp_path: Path) -> None:
    sha, data = small_bundle()
    (tmp_path / "shakeout" / sha / "shakeout").mkdir(parents=True)
    with host_end(tmp_path, [(*platform_tag(), sha)]) as process:
        assert answer(process)[0] == "need"
        send(process, sha, data)
        assert answer(process) == ["ready"]
    assert listed(tmp_path / "shakeout") == [sha]


def test_old_bundles_go_but_not_those_in_use(tmp_path: Path) -> None:
    cache = tmp_path / "shakeout"
    for number in range(6):
        (cache / f"{number:064d}").mkdir(parents=True)
        os.utime(cache / f"{number:064d}", (number + 1000, number + 1000))
    (cache / ".new-left").mkdir()
    (cache / "of-others").mkdir()
    cache.chmod(0o700)
    used = os.open(cache / f"{0:064d}" / bootstrap.LOCK, os.O_RDWR | os.O_CREAT)
    os.utime(cache / f"{0:064d}", (1000, 1000))
    try:
        fcntl.flock(used, fcntl.LOCK_SH)
        sha, data = small_bundle()
        with host_end(tmp_path, []) as process:
            answer(process)
            send(process, sha, data)
            assert answer(process) == ["ready"]
    finally:
        os.close(used)
    assert sorted(listed(cache)) == sorted([sha, "of-others", *(f"{number:064d}" for number in (0, 3, 4, 5))])


def test_a_cache_that_others_can_write_to_is_not_trusted(tmp_path: Path) -> None:
    (tmp_path / "shakeout").mkdir()
    (tmp_path / "shakeout").chmod(0o777)
    with host_end(tmp_path, []) as process:
        words = answer(process)
    assert words[0] == "error"
    assert "can be written by, another user" in " ".join(words)


def test_a_cache_for_which_there_is_no_room(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with host_end(tmp_path / "file", []) as process:
        assert answer(process)[0] == "error"


@pytest.mark.parametrize("mode", [0o777, 0o1777, 0o770])
def test_bundles_that_others_could_have_made_are_not_sent_anywhere(mode: int, tmp_path: Path) -> None:
    Bundles(tmp_path).ready_for(platform_tag())
    (tmp_path / "bundles").chmod(mode)
    with pytest.raises(UsageError, match="can be written by, another user"):
        Bundles(tmp_path).known()


def test_nobody_else_can_lock_what_is_locked_here(tmp_path: Path) -> None:
    """Others on the host can read a bundle, and whoever can open a file can lock it, so that nobody else gets in."""
    sha, data = small_bundle()
    with host_end(tmp_path, []) as process:
        answer(process)
        send(process, sha, data)
        assert answer(process) == ["ready"]
    (lock,) = tmp_path.rglob(bootstrap.LOCK)
    assert lock.stat().st_mode & 0o077 == 0
    # Folders, which anybody can open and lock, are not waited for.
    held = [os.open(folder, os.O_RDONLY) for folder in (tmp_path / "shakeout", tmp_path / "shakeout" / sha)]
    try:
        for fd in held:
            fcntl.flock(fd, fcntl.LOCK_EX)
        with host_end(tmp_path, [(*platform_tag(), sha)]) as process:
            assert answer(process) == ["ready"]
        with host_end(tmp_path, []) as process:
            answer(process)
            send(process, sha, data)
            assert answer(process) == ["ready"]
    finally:
        for fd in held:
            os.close(fd)
