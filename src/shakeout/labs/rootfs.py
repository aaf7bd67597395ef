"""The file systems of a namespace host: the user's, but nothing that is written reaches them.

/ and everything mounted below it become overlays on one tmpfs; /proc, /sys, /dev and /run are the host's own. What
of /proc/sys and /sys belongs to the whole machine is read-only.
"""

from __future__ import annotations

import contextlib
import os

from shakeout.processes.namespaces import (
    MNT_DETACH,
    MS_BIND,
    MS_NODEV,
    MS_NOEXEC,
    MS_NOSUID,
    MS_PRIVATE,
    MS_RDONLY,
    MS_REC,
    MS_REMOUNT,
    mount,
    pivot_root,
    unmount,
)  # fmt: skip

#: File systems that are made anew, or are no place for files.
_PSEUDO = frozenset(
    (
        "proc", "sysfs", "devtmpfs", "devpts", "cgroup", "cgroup2", "mqueue", "debugfs", "tracefs", "securityfs",
        "pstore", "efivarfs", "bpf", "configfs", "fusectl", "hugetlbfs", "autofs", "binfmt_misc", "nsfs",
        "rpc_pipefs", "selinuxfs",
    )
)  # fmt: skip
_OWN = ("/proc", "/sys", "/dev", "/run", "/var/run")
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty", "net/tun", "kvm", "fuse", "vhost-net")

#: Sysctls that the kernel keeps per network, IPC, UTS or PID namespace; a host may set them.
_OWN_SYSCTLS = (
    "net", "fs/mqueue", "kernel/hostname", "kernel/domainname", "kernel/shmmax", "kernel/shmall", "kernel/shmmni",
    "kernel/shm_rmid_forced", "kernel/msgmax", "kernel/msgmnb", "kernel/msgmni", "kernel/sem", "kernel/ns_last_pid",
)  # fmt: skip

_PLAIN = MS_NOSUID | MS_NODEV | MS_NOEXEC


def mount_points() -> list[tuple[str, str]]:
    """(target, file system type) of what is mounted, parents first; the upper of two on one place."""
    found: dict[str, str] = {}
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:  # noqa: PTH123
        for line in file:
            left, _, right = line.partition(" - ")
            target = left.split()[4].encode("utf-8", "surrogateescape").decode("unicode_escape")
            found[target] = right.split()[0]
    return sorted(found.items())


def build(scratch: str, mounts: list[tuple[str, str]], *, userxattr: bool) -> None:
    """Give this process (alone in its mount namespace) file systems of its own.

    Args:
        scratch: an empty directory; a tmpfs is mounted there.
        mounts: what `mount_points` said before.
        userxattr: the mounts are made in a user namespace.
    """
    mount("", "/", flags=MS_REC | MS_PRIVATE)
    mount("tmpfs", scratch, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755")
    root = f"{scratch}/root"
    os.mkdir(root)  # noqa: PTH102
    layers = _Layers(scratch, ",userxattr" if userxattr else "")
    if userxattr:
        mount(root, root, flags=MS_BIND)  # pivot_root wants a mount
        _assemble("/", root, layers, mounts)
        # Root in here is not the one who owns the machine's /root; a home it needs all the same.
        mount("tmpfs", f"{root}/root", "tmpfs", MS_NOSUID | MS_NODEV, "mode=0700")
    else:
        layers.lay("/", root)
        for target, kind in mounts:
            if target != "/" and _is_for_files(target, kind):
                with contextlib.suppress(OSError):  # hidden below another mount
                    layers.carry_over(target, root + target)
    _system(root)
    os.chdir(root)
    pivot_root(".", ".")  # the old root lies on the new one, and is taken away from there
    unmount(".", MNT_DETACH)
    os.chdir("/")


class _Layers:
    """Lays writable layers, all on one tmpfs, over directories."""

    def __init__(self, scratch: str, options: str) -> None:
        self._scratch = scratch
        self._options = options
        self._number = 0

    def lay(self, lower: str, place: str) -> None:
        """Make *place* show *lower*, and keep what is written."""
        scratch = f"{self._scratch}/{self._number}"
        self._number += 1
        upper, work = f"{scratch}/upper", f"{scratch}/work"
        for directory in (scratch, upper, work):
            os.mkdir(directory)  # noqa: PTH102
        os.chmod(upper, os.stat(lower).st_mode & 0o7777)  # noqa: PTH101, PTH116
        escaped = lower.replace("\\", "\\\\").replace(":", "\\:").replace(",", "\\,")
        options = f"lowerdir={escaped},upperdir={upper},workdir={work}{self._options}"
        mount("overlay", place, "overlay", 0, options)

    def carry_over(self, source: str, place: str) -> None:
        """As `lay`; what cannot lie under a layer (a file, an odd file system) is seen, but cannot be written."""
        if os.path.isdir(source):  # noqa: PTH112
            try:
                self.lay(source, place)
                return
            except OSError:
                pass
        mount(source, place, flags=MS_BIND | MS_REC)
        # In a user namespace its flags may be locked; nothing of it is ours to write there.
        with contextlib.suppress(OSError):
            mount("", place, flags=MS_BIND | MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV)


def _is_for_files(target: str, kind: str) -> bool:
    """Whether what is mounted at *target* holds files, and is not made anew for each host."""
    return kind not in _PSEUDO and target not in _OWN and not target.startswith(tuple(f"{own}/" for own in _OWN))


def _assemble(source: str, place: str, layers: _Layers, mounts: list[tuple[str, str]]) -> None:
    """Make *place* like the directory *source*, piece by piece.

    In a user namespace the mounts that were there before are locked to each other, and the kernel lays nothing over a
    directory that has some of them below it: so those directories are made anew, and what is in them carried over.
    """
    for entry in os.scandir(source):
        target = f"{place}/{entry.name}"
        if entry.is_symlink():
            os.symlink(os.readlink(entry.path), target)  # noqa: PTH115, PTH211
        elif entry.is_dir():
            os.mkdir(target)  # noqa: PTH102
            if entry.path in _OWN:
                continue
            below = [kind for path, kind in mounts if path.startswith(f"{entry.path}/")]
            with contextlib.suppress(OSError):  # not ours to see: an empty directory then
                if below:
                    _assemble(entry.path, target, layers, mounts)
                else:
                    layers.carry_over(entry.path, target)
        elif entry.is_file():
            os.close(os.open(target, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC))
            with contextlib.suppress(OSError):
                layers.carry_over(entry.path, target)


def _system(root: str) -> None:
    mount("proc", f"{root}/proc", "proc", _PLAIN)
    _read_only_but(f"{root}/proc/sys", _OWN_SYSCTLS)
    for name in ("sysrq-trigger", "irq", "bus"):
        with contextlib.suppress(OSError):
            mount(f"{root}/proc/{name}", f"{root}/proc/{name}", flags=MS_BIND)
            mount("", f"{root}/proc/{name}", flags=MS_BIND | MS_REMOUNT | MS_RDONLY | _PLAIN)
    mount("sysfs", f"{root}/sys", "sysfs", _PLAIN)
    _read_only_but(f"{root}/sys", ("devices/virtual/net",), bind=False)
    mount("tmpfs", f"{root}/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755")
    os.mkdir(f"{root}/run/lock")  # noqa: PTH102
    os.mkdir(f"{root}/run/netns")  # noqa: PTH102
    _devices(f"{root}/dev")


def _read_only_but(place: str, exceptions: tuple[str, ...], *, bind: bool = True) -> None:
    if bind:
        mount(place, place, flags=MS_BIND)
    for name in exceptions:
        with contextlib.suppress(OSError):  # this kernel does not have it
            mount(f"{place}/{name}", f"{place}/{name}", flags=MS_BIND)
    mount("", place, flags=MS_BIND | MS_REMOUNT | MS_RDONLY | _PLAIN)


def _devices(dev: str) -> None:
    mount("tmpfs", dev, "tmpfs", MS_NOSUID, "mode=0755,size=1m")
    for directory in ("pts", "shm", "net", "mqueue"):
        os.mkdir(f"{dev}/{directory}")  # noqa: PTH102
    for name in _DEVICES:
        if not os.path.exists(f"/dev/{name}"):  # noqa: PTH110
            continue
        os.close(os.open(f"{dev}/{name}", os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC))
        mount(f"/dev/{name}", f"{dev}/{name}", flags=MS_BIND)
    mount("devpts", f"{dev}/pts", "devpts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620")
    mount("tmpfs", f"{dev}/shm", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777")
    os.symlink("pts/ptmx", f"{dev}/ptmx")  # noqa: PTH211
    os.symlink("/proc/self/fd", f"{dev}/fd")  # noqa: PTH211
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        os.symlink(f"/proc/self/fd/{number}", f"{dev}/{name}")  # noqa: PTH211
