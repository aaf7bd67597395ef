"""A host, as a recipe has it in ``self.matched``."""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from shakeout.errors import ConditionTimeout, ProtocolError, UsageError
from shakeout.hosts.arguments import (
    argument,
    check_given,
    check_size,
    check_timeout,
    circumstances,
    input_bytes,
    setting_path,
    travelling_text,
)  # fmt: skip
from shakeout.hosts.job import Job
from shakeout.hosts.props import Props
from shakeout.journal.events import JobStarted, Setting
from shakeout.wire.messages import ReadSetting, SetSetting, StartJob
from shakeout.wire.plain import unpack

if TYPE_CHECKING:
    from pathlib import Path

    from shakeout.devices.base import Device
    from shakeout.hosts.devices import HostDevices
    from shakeout.hosts.session import Session
    from shakeout.modules.base import BaseTestModule
    from shakeout.wire.services import ServiceState

#: ``stdin=PIPE`` keeps a job's standard input open for `Job.write`.
PIPE: Final = "\0shakeout.PIPE"


class Host:
    """One matched host: jobs, files, settings and, as attributes, its network devices.

    ``host.eth0`` is the device of that name (the one the recipe asked for, or any that the host has);
    ``host.br0 = BridgeDevice()`` makes one. Iterating gives all devices.

    Attributes:
        name: what the recipe calls it.
        props: what its agent found out about it.
        params: what its pool says of it.
    """

    name: str
    props: Props
    params: Props
    _session: Session
    _devices: HostDevices

    def __init__(self, session: Session, devices: HostDevices, params: Mapping[str, Any] | None = None) -> None:
        put = object.__setattr__
        put(self, "name", session.name)
        put(self, "props", Props(session.name, session.props))
        put(self, "params", Props(session.name, params or {}))
        put(self, "_session", session)
        put(self, "_devices", devices)

    # -- jobs -----------------------------------------------------------------------------------------

    @property
    def jobs(self) -> list[Job]:
        """Its jobs, oldest first: those that run, and of those that have ended all that somebody holds."""
        return self._session.jobs.held()

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
    ) -> Job:
        """Run a command or a test module.

        Args:
            what: a string for bash, a list of arguments (no shell), or a test module's instance.
            bg: return at once; *timeout* does not count then.
            fail: the job is expected to fail, and passes if it does (not if its time runs out).
            timeout: seconds (fractions allowed) until it is killed; 0: never.
            path: working directory.
            json: parse standard output into `Job.result`.
            netns: run in that network namespace of the host.
            desc: what logs and the summary call it.
            stdin: its standard input; PIPE leaves it open for `Job.write`.
            env: variables over those of the host.
            user: run as that user (a name or a number).

        Returns:
            the job: ended, unless *bg*.

        Raises:
            HostLost: the connection to the host broke.
            UsageError: the arguments make no sense together.
        """
        job = self.start(
            what, bg=bg, fail=fail, timeout=0 if bg else timeout, path=path, json=json, netns=netns, desc=desc,
            stdin=stdin, env=env, user=user,
        )  # fmt: skip
        if not bg:
            self.conclude(job, timeout)
        return job

    def start(
        self,
        what: str | Sequence[str | os.PathLike[str]] | BaseTestModule,
        *,
        bg: bool,
        fail: bool = False,
        timeout: float = 0,
        path: str = "",
        json: bool = False,
        netns: str | None = None,
        desc: str | None = None,
        stdin: str | bytes | None = None,
        env: Mapping[str, str] | None = None,
        user: str | None = None,
    ) -> Job:
        """The first half of `run`: start it and return; `conclude` is the second."""
        timeout = check_timeout(timeout)
        order, shown, module = self._order(what)
        order |= circumstances(path, netns, user, env)
        check_size(order)
        given = b"" if stdin is None or stdin == PIPE else input_bytes(stdin)
        kind = "module" if module is not None else "shell" if "shell" in order else "argv"
        number = self._session.jobs.next_number()
        job = Job(
            self._session, number, shown, kind=kind, desc=desc or "", fail=fail, parse_json=json, module=module,
            stdin_open=stdin == PIPE,
        )  # fmt: skip
        event = JobStarted(
            host=self.name, job=number, kind=kind, what=shown, desc=desc or "", bg=bg, expected_fail=fail,
            timeout=timeout, netns=netns or "",
        )  # fmt: skip
        self._launch(job, {**order, "announce": bg, "keep_stdin": stdin == PIPE}, given, event)
        return job

    def conclude(self, job: Job, timeout: float) -> None:
        """Wait for a foreground job; kill it when its time is up."""
        try:
            if not job.wait(timeout):
                job.time_out(timeout)
        except BaseException:
            # Ctrl-C, or a signal that ends the run: nothing of this job shall go on behind its back.
            job.interrupt()
            raise

    # -- settings and files ---------------------------------------------------------------------------

    def sysfs_set(self, path: str, value: object) -> str:
        """Write a file below /sys (*path* relative to it, or absolute); it is put back at the end.

        Returns:
            what was there before.

        Raises:
            UsageError: there is no such file, or it does not accept the value.
            LabLacks: it belongs to the whole machine, and this laboratory's hosts share one.
        """
        return self._set("/sys", path, value)

    def procfs_set(self, path: str, value: object) -> str:
        """Write a file below /proc: ``procfs_set("sys/net/ipv4/ip_forward", 1)``; else as `sysfs_set`."""
        return self._set("/proc", path, value)

    def sysfs_get(self, path: str) -> str:
        """What a file below /sys says."""
        return self._get("/sys", path)

    def procfs_get(self, path: str) -> str:
        """What a file below /proc says."""
        return self._get("/proc", path)

    def enable_service(self, service: str) -> ServiceState:
        """Have a service started at boot, and start it now; both is put back at the end. How it is then.

        Raises:
            UsageError: there is no such service, or it is masked.
            ServiceError: it could not be started, or not be enabled.
            LabLacks: nothing on this host manages services, or nothing known.
        """
        from shakeout.hosts import services

        return services.change(self._session, service, enable=True)

    def disable_service(self, service: str) -> ServiceState:
        """Have a service not started at boot, and stop it now; else as `enable_service`."""
        from shakeout.hosts import services

        return services.change(self._session, service, enable=False)

    def service(self, name: str) -> ServiceState:
        """How a service is: ``m1.service("chrony").active``; one that the host does not have says so in `exists`."""
        from shakeout.hosts import services

        return services.look(self._session, name)

    def send_file(self, ctl_path: str = "", agent_path: str = "", recursive: bool = False) -> str:
        """Send a file, or with *recursive* a directory, from here to the host; its path there.

        Relative paths there count from the user's home; an existing directory, or a path that ends with "/", takes
        it inside. Nobody on the host ever sees half a file. What was there before is put back at the end.

        Raises:
            TransferError: it cannot be read here, or written there.
        """
        from shakeout.hosts import files

        check_given(ctl_path, "send_file", "ctl_path")
        return files.send(self._session, os.fspath(ctl_path), os.fspath(agent_path), recursive=recursive)

    def recv_file(self, recv_path: str = "", ctl_path: str = "", recursive: bool = False) -> Path:
        """Fetch a file, or with *recursive* a directory, from the host; its path here.

        Raises:
            TransferError: it cannot be read there, or written here.
        """
        from shakeout.hosts import files

        check_given(recv_path, "recv_file", "recv_path")
        return files.receive(self._session, os.fspath(recv_path), os.fspath(ctl_path), recursive=recursive)

    def save_artifact(self, path: str, name: str = "") -> Path:
        """Fetch a file from the host into the run's artifacts, under *name* (HOST-FILE if not given); its path here.

        Files that test modules say they have written are fetched without this: see `Job.artifacts`.

        Raises:
            TransferError: it cannot be read there, or written here.
            UsageError: this is no run with a journal.
        """
        from shakeout.hosts import artifacts

        check_given(path, "save_artifact", "path")
        return artifacts.save(self._session, os.fspath(path), name)

    def wait_for(
        self,
        condition: str | Sequence[str] | Callable[[], Any],
        timeout: float = 60,
        *,
        desc: str | None = None,
    ) -> Any:
        """Wait until *condition* holds, at most *timeout* seconds.

        Args:
            condition: a command for bash that shall succeed (tried on the host itself, without a round trip between
                tries), an argument list, or a function of your own that shall return something true.

        Returns:
            the finished job of a command, or what the function returned.

        Raises:
            ConditionTimeout: it did not come true in time.
        """
        timeout = check_timeout(timeout)
        if callable(condition):
            return self._wait_for_function(condition, timeout, desc)
        if not isinstance(condition, str | Sequence) or not condition:
            raise UsageError(
                f"wait_for() on {self.name} takes a command (str), a list of arguments or a function, not {condition!r}"
            )
        if not isinstance(condition, str):
            condition = shlex.join(argument(part) for part in condition)
        title = desc or f"wait for: {condition}"
        job = self.start(_UNTIL, bg=False, timeout=timeout, desc=title, env={"SHAKEOUT_CONDITION": condition})
        if not job.wait(timeout):
            job.time_out(timeout)
            raise ConditionTimeout(f"{self.name}: {condition!r} did not succeed within {timeout:g} s")
        return job

    # -- devices --------------------------------------------------------------------------------------

    def __getattr__(self, name: str) -> Device:
        if name.startswith("_"):
            raise AttributeError(name)
        return self._devices.find(name)

    def __setattr__(self, name: str, value: object) -> None:
        if name.startswith("_") or name in Host.__dict__ or name in Host.__annotations__:
            raise UsageError(f"{name!r} of host {self.name} cannot be assigned to: it is a name of the host's own")
        self._devices.create(name, value)

    def __iter__(self) -> Iterator[Device]:
        return iter(self._devices.all())

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self._devices.names()]

    def __repr__(self) -> str:
        return f"<Host {self.name}>"

    # -- inner parts ----------------------------------------------------------------------------------

    def _launch(self, job: Job, order: dict[str, Any], given: bytes, event: JobStarted) -> None:
        """Start *job*, with *given* as its standard input; what of that is too long for the order is sent after it."""
        if len(given) <= _INLINE_STDIN:
            self._session.start(job, StartJob(job.id, stdin=given, **order), event)
        else:
            self._session.start(job, StartJob(job.id, **{**order, "keep_stdin": True}), event)
            try:
                job.feed(given)
            except BaseException:
                job.interrupt()  # as in `conclude`
                raise

    def _order(self, what: Any) -> tuple[dict[str, Any], str, BaseTestModule | None]:
        """How *what* is started, what to call it, and the module if it is one."""
        if isinstance(what, str):
            if not what.strip():
                raise UsageError(f"an empty command was given to run() on {self.name}")
            return {"shell": travelling_text(what)}, what, None
        if isinstance(what, Sequence) and not isinstance(what, bytes | bytearray):
            argv = tuple(argument(part) for part in what)
            if not argv or not argv[0]:
                raise UsageError(f"an empty list of arguments was given to run() on {self.name}")
            return {"argv": argv}, shlex.join(argv), None
        from shakeout.modules.base import BaseTestModule

        if not isinstance(what, BaseTestModule):
            hint = ": make an instance of it, Name(...)" if isinstance(what, type) else ""
            raise UsageError(
                f"run() on {self.name} takes a command (str), a list of arguments or a test module's instance, "
                f"not {what!r}{hint}"
            )
        from shakeout.modules.source import order_for

        module_order, manifest = order_for(what, self.name)
        self._session.ship(manifest.sources)
        import msgspec

        return {"module": msgspec.msgpack.encode(module_order)}, what.describe(), what

    def _set(self, top: str, path: str, value: object) -> str:
        full = setting_path(top, path)
        if isinstance(value, bool):
            value = int(value)
        if not isinstance(value, str | bytes | int | float):
            raise UsageError(f"{full} on {self.name} is set to text or a number, not to {value!r}")
        text = value.decode() if isinstance(value, bytes) else str(value)
        old = self._setting(self._session.ask(lambda number: SetSetting(number, full, text.encode())))
        previous = old.decode(errors="replace").rstrip("\n")
        self._session.recorder.write(Setting(host=self.name, path=full, value=text, previous=previous))
        return previous

    def _get(self, top: str, path: str) -> str:
        full = setting_path(top, path)
        raw = self._setting(self._session.ask(lambda number: ReadSetting(number, full)))
        return raw.decode(errors="replace").rstrip("\n")

    def _setting(self, answer: bytes) -> bytes:
        value = unpack(answer)
        if not isinstance(value, bytes):
            raise ProtocolError(f"its agent said of a setting {value!r:.100}, which is none", self.name)
        return value

    def _wait_for_function(self, condition: Callable[[], Any], timeout: float, desc: str | None) -> Any:
        deadline = time.monotonic() + timeout if timeout else None
        pause = 0.001
        while True:
            value = condition()
            if value:
                return value
            if deadline is not None and time.monotonic() + pause > deadline:
                name = desc or getattr(condition, "__name__", "the condition")
                raise ConditionTimeout(f"{self.name}: {name} did not come true within {timeout:g} s")
            time.sleep(pause)
            pause = min(pause * 2, 0.1)


#: More standard input than this is sent after the job's start.
_INLINE_STDIN = 64 << 10

#: Tries a command with growing pauses (1 ms to 128 ms), on the host.
_UNTIL = (
    'pause=1; until eval "$SHAKEOUT_CONDITION"; do sleep "$(printf "0.%03d" $pause)"; '
    "[ $pause -lt 128 ] && pause=$((pause * 2)); done; true"
)
