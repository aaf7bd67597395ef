"""A host's properties: a fixed set, collected once and sent with the welcome."""

from __future__ import annotations

import os
import platform

Value = str | int | float | bool | list[str]


def collect(*, lab: str = "") -> dict[str, Value]:
    """The properties of this host.

    ``hostname, kernel, arch, distribution, distribution_id, distribution_version, cpus, cpu_model, memory`` (bytes),
    ``python, user, privileged, lab`` ("" on a real machine), ``virtualization`` ("kvm", "vmware" …; "vm" for an unknown
    kind, "" for hardware), ``systemd`` (whether that manages its services).

    Args:
        lab: the laboratory that made the host.
    """
    uname = os.uname()
    release = _os_release()
    return {
        "hostname": uname.nodename,
        "kernel": uname.release,
        "arch": uname.machine,
        "distribution": release.get("PRETTY_NAME", ""),
        "distribution_id": release.get("ID", ""),
        "distribution_version": release.get("VERSION_ID", ""),
        "cpus": len(os.sched_getaffinity(0)),
        "cpu_model": _cpu_model(),
        "memory": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "python": platform.python_version(),
        "user": _user(),
        "privileged": os.geteuid() == 0,
        "lab": lab,
        "virtualization": virtualization(_first_line("/sys/class/dmi/id/sys_vendor"), _cpu_says_hypervisor()),
        "systemd": os.path.isdir("/run/systemd/system"),  # noqa: PTH112 - sd_booted(3)
    }


#: How the makers of virtual machines' boards begin, and what they are called here.
_MAKERS = (
    ("QEMU", "kvm"), ("KVM", "kvm"), ("Red Hat", "kvm"), ("OpenStack", "kvm"), ("Amazon EC2", "amazon"),
    ("Google", "google"), ("VMware", "vmware"), ("innotek", "virtualbox"), ("Oracle", "virtualbox"), ("Xen", "xen"),
    ("Microsoft", "hyperv"), ("Parallels", "parallels"), ("BHYVE", "bhyve"),
)  # fmt: skip


def virtualization(maker: str, hypervisor: bool) -> str:
    """What kind of virtual machine it is, "" for hardware.

    Args:
        maker: of the board, as the firmware says.
        hypervisor: whether the processor says that it is not the real one; some makers make both kinds.
    """
    if not hypervisor:
        return ""
    return next((kind for start, kind in _MAKERS if maker.startswith(start)), "vm")


def _cpu_says_hypervisor() -> bool:
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:  # noqa: PTH123
            for line in file:
                if line.startswith("flags"):
                    return " hypervisor" in line
                if not line.strip():
                    break
    except OSError:
        pass
    return False


def _first_line(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:  # noqa: PTH123
            return file.readline().strip()
    except OSError:
        return ""


def _os_release() -> dict[str, str]:
    for path in ("/etc/os-release", "/usr/lib/os-release"):
        try:
            with open(path, encoding="utf-8") as file:  # noqa: PTH123
                pairs = (line.strip().partition("=") for line in file if "=" in line)
                return {key: value.strip("\"'") for key, _, value in pairs}
        except OSError:
            continue
    return {}


def _cpu_model() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:  # noqa: PTH123
            for line in file:
                key, _, value = line.partition(":")
                if key.strip() in ("model name", "Model", "Processor"):
                    return value.strip()
                if not line.strip():
                    break
    except OSError:
        pass
    return ""


def _user() -> str:
    import pwd

    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())
