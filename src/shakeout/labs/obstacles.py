"""Why there can be no laboratory on this machine, in words."""

from __future__ import annotations

#: Settings of the kernel that forbid namespaces to users: file, forbidding value, what it means and what to do.
_SETTINGS = (
    (
        "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
        "1",
        "AppArmor forbids user namespaces to unprivileged programs (Ubuntu's default): run as root, or "
        "`sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0`",
    ),
    (
        "/proc/sys/kernel/unprivileged_userns_clone",
        "0",
        "the kernel forbids user namespaces to users: run as root, or `sudo sysctl kernel.unprivileged_userns_clone=1`",
    ),
    (
        "/proc/sys/user/max_user_namespaces",
        "0",
        "no user namespaces are allowed here: run as root, or `sudo sysctl user.max_user_namespaces=10000`",
    ),
)


def explain(error: BaseException) -> str:
    """Why there can be no laboratory, and what to do about it."""
    if not isinstance(error, OSError):
        return str(error)
    reason = f"this user may not make namespaces here ({error})"
    for path, bad, remedy in _SETTINGS:
        try:
            with open(path, encoding="ascii") as file:  # noqa: PTH123
                if file.read().strip() == bad:
                    return f"{reason}; {remedy}"
        except OSError:
            continue
    return f"{reason}; run as root (sudo), or in a container with CAP_SYS_ADMIN"
