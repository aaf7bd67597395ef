"""Names that cannot be a host's or an interface's, because they are the API's own.

A recipe writes ``self.matched.m1.eth0``; if an interface were called "run", ``m1.run`` would have two
meanings. This is the one list; the tests of Host and of the recipe check that it covers their names.
"""

from __future__ import annotations

from keyword import iskeyword

from shakeout.errors import BadRequirement

#: Names of a host's API: what follows ``self.matched.m1.``
HOST_API = frozenset(
    {
        "add_device",
        "address",
        "artifacts",
        "breakpoint",
        "close",
        "closed",
        "cleanup",
        "clock",
        "conclude",
        "devices",
        "devs",
        "disable_service",
        "enable_service",
        "endpoint",
        "hosts",
        "id",
        "jobs",
        "kill",
        "label",
        "log",
        "map",
        "name",
        "netns",
        "params",
        "pool",
        "ports",
        "procfs_get",
        "procfs_set",
        "props",
        "recv_file",
        "restore",
        "run",
        "save_artifact",
        "send_file",
        "service",
        "session",
        "start",
        "sysfs_get",
        "sysfs_set",
        "undo",
        "wait",
        "wait_all",
        "wait_any",
        "wait_for",
    }
)

#: Names of a recipe's API, and of the containers ``self.req`` and ``self.matched``.
RECIPE_API = frozenset(
    {
        "add_result",
        "breakpoint",
        "describe",
        "evaluate",
        "load",
        "match",
        "matched",
        "measure",
        "networks",
        "params",
        "req",
        "reqs",
        "requirements",
        "run",
        "series",
        "test",
    }
)

#: Everything that cannot name a host or an interface of a requirement.
RESERVED = HOST_API | RECIPE_API


def check_name(name: str, kind: str) -> str:
    """*name* if it can name a *kind* ("host" or "interface") of a requirement.

    Raises:
        BadRequirement: it is no identifier, begins with an underscore, or is reserved.
    """
    if not isinstance(name, str) or not name.isidentifier() or iskeyword(name) or name.startswith("_"):
        raise BadRequirement(
            f"{name!r} cannot be the name of {_an(kind)}: a name is a Python identifier that is no keyword "
            f"and does not begin with an underscore, for example {'m1' if kind == 'host' else 'eth0'!r}"
        )
    if name in RESERVED:
        instead = f"{name}_host" if kind == "host" else f"{name}0"
        raise BadRequirement(
            f"{name!r} is reserved and cannot be the name of {_an(kind)}, because recipes and hosts have "
            f"something of that name; call it {instead!r}, for example"
        )
    return name


def _an(kind: str) -> str:
    return f"an {kind}" if kind[0] in "aeiou" else f"a {kind}"
