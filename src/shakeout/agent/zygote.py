"""The zygote: a small, warm, frozen process from which test modules are forked.

It is forked from the agent's image before the agent has a loop, executes nothing that was shipped (it compiles
sources, its children run them), reaps its children and reports how they ended: the agent cannot wait for
grandchildren.
"""

from __future__ import annotations

# The module beneath signal, which makes an enum of every number: that costs 0.1 ms after a fork.
import _signal  # type: ignore[import-not-found]
import gc
import os
import select
import signal
import socket
import time
from typing import NoReturn

import msgspec

from shakeout.agent.forking import Exited, Forked, ForkOrder, Orders, SourceOrder
from shakeout.agent.understudy import MOST, Understudy, await_order
from shakeout.modules import installation
from shakeout.modules.runner import rehearse, run_module
from shakeout.modules.shipped import CodeCache
from shakeout.processes.ends import reaped, wake_at_ends
from shakeout.processes.namespaces import enter_network, set_process_name
from shakeout.processes.strays import MARK, MarkArea, mark_area
from shakeout.wire.framing import FrameReader, frame
from shakeout.wire.messages import NOT_STARTED
from shakeout.wire.transports import MAX_FDS, READ_SIZE, descriptors

# Made before any fork: making one touches hundreds of pages, each of which is copied in the process that does it.
_encode = msgspec.msgpack.Encoder().encode
_decoder = msgspec.msgpack.Decoder(Orders)


class Zygote:
    """The zygote's own process: a blocking loop over its socket and its children's ends."""

    def __init__(self, agent: socket.socket, environment: dict[str, str]) -> None:
        self._agent = agent
        self._codes = CodeCache()
        self._reader = FrameReader(limit=64 << 20)
        self._fds: list[int] = []
        self._own_fds: tuple[int, ...] = ()
        self._understudy: Understudy | None = None
        #: Whether another module may come soon.
        self._expecting = False
        self._dismissed: set[int] = set()
        self._mark_area = mark_area()
        set_environment(environment)  # here and not in every child, where each variable would cost copied pages

    def run(self) -> NoReturn:
        """Serve until the agent is gone."""
        children, wake = wake_at_ends()
        self._own_fds = (self._agent.fileno(), children, wake)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        poll = select.poll()
        poll.register(self._agent, select.POLLIN)
        poll.register(children, select.POLLIN)
        gc.freeze()
        while True:
            lacking = self._expecting and self._understudy is None
            events = poll.poll(0 if lacking else None)
            if not events:
                self._engage()  # nobody waits for anything: now it costs nobody anything
            for fd, _ in events:
                if fd == children:
                    os.read(children, 4096)
                    self._reap()
                else:
                    self._receive()

    def _receive(self) -> None:
        data, ancillary, _, _ = self._agent.recvmsg(READ_SIZE, socket.CMSG_SPACE(MAX_FDS * 4), socket.MSG_CMSG_CLOEXEC)
        if not data:
            os._exit(0)
        self._fds += descriptors(ancillary)
        for payload in self._reader.feed(data):
            order = _decoder.decode(payload)
            if isinstance(order, ForkOrder):
                fds, self._fds = self._fds[:4], self._fds[4:]
                if order.kind != "module" or not self._hand_over(order, payload, fds):
                    self._fork(order, fds)
            elif isinstance(order, SourceOrder):
                self._codes.add(order.sha256, order.filename, order.text)
                self._dismiss()  # it would not know the source
            else:
                self._expecting = False
                self._dismiss()

    def _hand_over(self, order: ForkOrder, payload: bytes, fds: list[int]) -> bool:
        """Have the understudy carry out *order*; False if there is none, or it cannot."""
        self._expecting = True
        understudy, self._understudy = self._understudy, None
        if understudy is None:
            return False
        if len(payload) > MOST or not understudy.take(payload, fds):
            understudy.dismiss()
            self._dismissed.add(understudy.pid)
            return False
        for fd in fds:
            os.close(fd)
        self._report(Forked(order.sequence, understudy.pid, time.monotonic_ns()))
        return True

    def _engage(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            pid = os.fork()
        except OSError:
            self._expecting = False  # there is no room for one; forks that are needed say so
            theirs.close()
            ours.close()
            return
        if pid == 0:
            ours.close()
            _study(theirs, self._codes, self._mark_area, self._own_fds)
        theirs.close()
        self._understudy = Understudy(pid, ours)

    def _dismiss(self) -> None:
        if self._understudy is not None:
            self._understudy.dismiss()
            self._dismissed.add(self._understudy.pid)
            self._understudy = None

    def _fork(self, order: ForkOrder, fds: list[int]) -> None:
        now = time.monotonic_ns()
        try:
            pid = os.fork()
        except OSError as error:
            self._report_unforked(order, fds, error)
            return
        if pid == 0:
            _child(order, fds, self._codes, self._mark_area, self._own_fds)
        for fd in fds:
            os.close(fd)
        self._report(Forked(order.sequence, pid, now))

    def _report_unforked(self, order: ForkOrder, fds: list[int], error: OSError) -> None:
        """No process can be made: said as if one had been, with a number that no process has, and had ended."""
        _complain(fds[3], error)
        for fd in fds:
            os.close(fd)
        now = time.monotonic_ns()
        self._report(Forked(order.sequence, -order.sequence, now))
        self._report(Exited(-order.sequence, NOT_STARTED << 8, now))

    def _reap(self) -> None:
        for pid, status in reaped():
            if self._understudy is not None and self._understudy.pid == pid:
                self._dismiss()  # something ended it
                self._expecting = False
            if pid in self._dismissed:
                self._dismissed.discard(pid)
                continue
            self._report(Exited(pid, status, time.monotonic_ns()))

    def _report(self, report: msgspec.Struct) -> None:
        try:
            self._agent.sendall(frame(_encode(report)))
        except OSError:
            os._exit(0)


def _child(order: ForkOrder, fds: list[int], codes: CodeCache, area: MarkArea, zygotes: tuple[int, ...]) -> NoReturn:
    """What a forked child does, to its end: it never returns into the zygote's loop.

    Args:
        zygotes: descriptors of the zygote alone: what runs here must not speak for it, nor keep its end unseen.
    """
    try:
        _leave_the_zygote(zygotes, module=order.kind == "module")
    except BaseException as error:  # noqa: BLE001 - the edge of a process: whatever it is, say it
        _complain(fds[3], error)
        os._exit(NOT_STARTED)
    _perform(order, fds, codes, area)


def _study(channel: socket.socket, codes: CodeCache, area: MarkArea, zygotes: tuple[int, ...]) -> NoReturn:
    """What an understudy does, to its end: rehearse, wait for its order, carry it out."""
    try:
        _leave_the_zygote(zygotes, module=True)
        rehearse()
        payload, fds = await_order(channel)
        order = _decoder.decode(payload)
    except BaseException:  # noqa: BLE001 - the edge of a process; nobody has asked anything of it yet
        os._exit(NOT_STARTED)
    _perform(order, fds, codes, area)


def _leave_the_zygote(zygotes: tuple[int, ...], *, module: bool) -> None:
    """Become a process (group) of one's own, with the signals that a program expects."""
    _signal.set_wakeup_fd(-1)
    for fd in zygotes:
        os.close(fd)
    _signal.signal(_signal.SIGCHLD, _signal.SIG_DFL)
    _signal.signal(_signal.SIGINT, _signal.default_int_handler if module else _signal.SIG_DFL)
    os.setsid()


def _perform(order: ForkOrder, fds: list[int], codes: CodeCache, area: MarkArea) -> NoReturn:
    """Carry out *order*, and end."""
    status = NOT_STARTED
    channel = -1
    try:
        for number in (0, 1, 2):
            os.dup2(fds[number], number)
            os.close(fds[number])
        channel = fds[3]
        _settle(order)
        area.write(order.env.get(MARK, ""))
        status = _execute(order) if order.kind == "argv" else _run_module(order, codes, channel)
    except BaseException as error:  # noqa: BLE001 - the edge of a process: whatever it is, say it
        _complain(channel, _explained(error, order.user))
    finally:
        os._exit(status)


def _explained(error: BaseException, user: str) -> BaseException:
    """*error*, or what is behind it: files of another release, or files that *user*, who this is now, may not read."""
    if not isinstance(error, ImportError):
        return error
    if outdated := installation.remedy(error):
        return RuntimeError(f"{error}: {outdated}")
    if not user:
        return error
    hidden = next((place for place in (os.__file__, __file__) if not os.access(place, os.R_OK)), None)
    if hidden is None:
        return error
    return PermissionError(
        f"{user} may not read what test modules need on this host ({os.path.dirname(hidden)}): install Python and "  # noqa: PTH120
        "shakeout where every user can read them, or run a command instead of a module"
    )


def _settle(order: ForkOrder) -> None:
    """Enter the network namespace, directory and user that the order names, and take on its environment."""
    if order.netns:
        try:
            enter_network(order.netns)
        except FileNotFoundError:
            raise NotADirectoryError(f"there is no network namespace {order.netns!r} on this host") from None
    if order.user:
        become(order.user, order.env)
    for name, value in order.env.items():
        os.environ[name] = value
    if order.cwd:
        os.chdir(order.cwd)
    elif order.user:
        _go_home()


def become(user: str, env: dict[str, str]) -> None:
    """Turn into *user* (a name or a number), for good; *env* gets that user's HOME, USER and LOGNAME if it has none."""
    import pwd

    try:
        entry = pwd.getpwuid(int(user)) if user.isdigit() else pwd.getpwnam(user)
    except KeyError:
        raise LookupError(f"there is no user {user!r} on this host") from None
    if entry.pw_uid == os.geteuid():
        return
    try:
        os.initgroups(entry.pw_name, entry.pw_gid)
        os.setresgid(entry.pw_gid, entry.pw_gid, entry.pw_gid)
        os.setresuid(entry.pw_uid, entry.pw_uid, entry.pw_uid)
    except OSError as error:
        raise PermissionError(
            f"this host cannot run jobs as {user!r} ({error.strerror}): an unprivileged laboratory has one user "
            "only; run shakeout as root, or leave `user` out"
        ) from None
    for name, value in (("HOME", entry.pw_dir), ("USER", entry.pw_name), ("LOGNAME", entry.pw_name)):
        env.setdefault(name, value)


def _go_home() -> None:
    """Another user starts at home, as in a login; or in /, like everybody without a home."""
    try:
        os.chdir(os.environ.get("HOME") or "/")
    except OSError:
        os.chdir("/")


def _execute(order: ForkOrder) -> int:
    # Python ignores these; a program expects them as they were.
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    os.execvp(order.argv[0], list(order.argv))


def _run_module(order: ForkOrder, codes: CodeCache, channel: int) -> int:
    return run_module(order.module, codes, channel)


def _complain(channel: int, error: BaseException) -> None:
    if isinstance(error, LookupError | PermissionError | NotADirectoryError):
        text = str(error)
    elif isinstance(error, OSError):
        text = (error.strerror or str(error)) + (f" {error.filename!r}" if error.filename else "")
    else:
        text = f"{type(error).__name__}: {error}"
    try:
        os.write(channel if channel >= 0 else 2, text.encode(errors="replace"))
    except OSError:
        return


def set_environment(environment: dict[str, str]) -> None:
    """Make *environment* that of this process; what is there already is not touched."""
    for name in os.environ.keys() - environment.keys():
        del os.environ[name]
    for name, value in environment.items():
        if os.environ.get(name) != value:
            os.environ[name] = value


def start_zygote(environment: dict[str, str]) -> tuple[int, socket.socket]:
    """Fork the zygote of this process, which must have no threads; its pid and socket.

    Args:
        environment: the variables that all its children start with.
    """
    ours, theirs = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        ours.close()
        # A listener, or a lock, that the zygote and its children had, too, would outlive a killed agent.
        os.closerange(3, theirs.fileno())
        os.closerange(theirs.fileno() + 1, 1 << 20)
        set_process_name("shakeout-zygote")
        try:
            Zygote(theirs, environment).run()
        finally:
            os._exit(1)
    theirs.close()
    return pid, ours
