"""What the methods of a host accept, checked before anything is sent: what is wrong raises UsageError."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from shakeout.errors import UsageError

#: Bytes of the longest order; a message has room for a little more.
_LONGEST = 3 << 20


def argument(part: object) -> str:
    """One of a list of arguments: text, a path or a number."""
    if isinstance(part, int) and not isinstance(part, bool):
        return str(part)
    if not isinstance(part, str | os.PathLike):
        raise UsageError(f"an argument of a command is text, a path or a number, not {part!r}")
    return travelling_text(os.fspath(part))


def setting_path(top: str, path: str) -> str:
    """The absolute path of a setting below *top* (/proc or /sys)."""
    text = os.fspath(path)
    if text.startswith("/"):
        if not text.startswith(top + "/"):
            raise UsageError(f"{text!r} is not below {top}; give a path relative to {top}, or one that begins with it")
        return text
    return f"{top}/{text}"


def environment(env: Mapping[str, str] | None) -> dict[str, str]:
    """The variables of a job, checked."""
    if not env:
        return {}
    for name in env:
        if not name or "=" in name or "\0" in name:
            raise UsageError(f"{name!r} cannot be the name of an environment variable")
    return {str(name): travelling_text(str(value)) for name, value in env.items()}


def circumstances(path: str, netns: str | None, user: str | None, env: Mapping[str, str] | None) -> dict[str, Any]:
    """Where, as whom and with which variables a job runs, as fields of its order."""
    return {
        "cwd": travelling_text(os.fspath(path)),
        "netns": netns_name(netns),
        "user": travelling_text(str(user or "")),
        "env": environment(env),
    }


def travelling_text(text: str) -> str:
    """*text*, if a program can be given it: no NUL in it, and UTF-8."""
    if "\0" in text:
        raise UsageError(f"{text!r} cannot be given to a job: it contains a NUL character")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise UsageError(f"{text!a} cannot be given to a job: it is not UTF-8") from None
    return text


def netns_name(name: str | None) -> str:
    """The name of a network namespace, "" for none, checked."""
    if name and ("/" in name or name in (".", "..")):
        raise UsageError(f"{name!r} cannot be the name of a network namespace; `ip netns list` on the host shows them")
    return travelling_text(name or "")


def check_size(order: Mapping[str, Any]) -> None:
    """Refuse what does not fit into a message.

    Raises:
        UsageError: it does not.
    """
    parts = [order.get("shell") or "", *order.get("argv", ()), *order["env"], *order["env"].values()]
    size = sum(len(part.encode()) for part in parts) + len(order.get("module", b""))
    if size > _LONGEST:
        raise UsageError(
            f"a command or module of {size} bytes is too long to be sent: {_LONGEST} at most; let it read a file "
            "that send_file() brought there, or its standard input"
        )


def input_bytes(value: str | bytes) -> bytes:
    """What a job's standard input shall be."""
    if isinstance(value, str):
        return value.encode()
    if not isinstance(value, bytes | bytearray | memoryview):
        raise UsageError(f"stdin is text, bytes or PIPE, not {value!r:.80}")
    return bytes(value)


def check_timeout(timeout: object) -> float:
    """A number of seconds; 0, for ever, for an infinite one."""
    if isinstance(timeout, bool) or not isinstance(timeout, int | float) or not timeout >= 0:
        raise UsageError(f"a timeout is a number of seconds, 0 or more (0: for ever), not {timeout!r}")
    return 0 if timeout == float("inf") else timeout


def check_given(path: object, method: str, argument: str) -> None:
    """Refuse a transfer of nothing."""
    if not path:
        raise UsageError(f"{method}() needs {argument}: the file or directory to transfer")
