"""The hosts of one match, as ``self.matched``."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from shakeout.errors import UnknownName
from shakeout.hosts.host import Host
from shakeout.hosts.job import Job

if TYPE_CHECKING:
    from shakeout.modules.base import BaseTestModule


class Matched:
    """``matched.m1`` is a host; iterating gives all, in the order of the requirements; `run` runs on all at once."""

    def __init__(self, hosts: Mapping[str, Host]) -> None:
        self._hosts = dict(hosts)

    def __getattr__(self, name: str) -> Host:
        if name.startswith("_"):
            raise AttributeError(name)
        try:
            return self._hosts[name]
        except KeyError:
            raise UnknownMatch(name, self._hosts) from None

    def __getitem__(self, name: str) -> Host:
        host: Host = getattr(self, name)
        return host

    def __iter__(self) -> Iterator[Host]:
        return iter(self._hosts.values())

    def __len__(self) -> int:
        return len(self._hosts)

    def __contains__(self, name: object) -> bool:
        return name in self._hosts

    def __dir__(self) -> list[str]:
        return [*self._hosts, *super().__dir__()]

    def __repr__(self) -> str:
        return f"<matched hosts: {', '.join(self._hosts)}>"

    def run(
        self,
        what: str | Sequence[str | os.PathLike[str]] | BaseTestModule,
        bg: bool = False,
        fail: bool = False,
        timeout: float = 60,
        path: str = "",
        json: bool = False,
        netns: str | None = None,
        desc: str | None = None,
        *,
        stdin: str | bytes | None = None,
        env: Mapping[str, str] | None = None,
        user: str | None = None,
    ) -> dict[str, Job]:
        """Run *what* on all hosts at once; arguments as those of `Host.run`.

        Returns:
            host name -> job; all ended, unless *bg*.
        """
        options: dict[str, Any] = {
            "bg": bg, "fail": fail, "timeout": 0 if bg else timeout, "path": path, "json": json, "netns": netns,
            "desc": desc, "stdin": stdin, "env": env, "user": user,
        }  # fmt: skip
        jobs: dict[str, Job] = {}
        deadline = time.monotonic() + timeout
        try:
            for name, host in self._hosts.items():
                jobs[name] = host.start(what, **options)
            if bg:
                return jobs
            for job in jobs.values():
                if timeout and not job.wait(max(0.001, deadline - time.monotonic())):
                    break
                if not timeout:
                    job.wait()
            for job in jobs.values():
                job.time_out(timeout)  # does nothing to those that have ended
        except BaseException:
            for job in jobs.values():
                job.interrupt()
            raise
        return jobs


class UnknownMatch(UnknownName, AttributeError):
    """A host that the recipe did not ask for."""

    name: str

    def __init__(self, name: str, known: Mapping[str, Any]) -> None:
        UnknownName.__init__(self, "matched host", name, known)
