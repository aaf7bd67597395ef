"""The spawner: a process of its own that makes the hosts of one namespace laboratory, and takes all down with itself.

It is a fresh interpreter, never a fork of the user's threaded process. Its first half waits outside; its second half
is process 1 of a PID namespace in which all hosts live, in a network namespace that is the laboratory's switch room.
So whatever ends it (its controller's end, which closes the connection; a signal; its own mistake) removes everything.
"""

from __future__ import annotations

# The module beneath signal, which makes an enum of every number: that costs every fork 0.1 ms.
import _signal  # type: ignore[import-not-found]
import gc
import os
import resource
import select
import signal
import socket
import struct
import sys
from pathlib import Path
from typing import NoReturn

import msgspec

from shakeout.errors import ProtocolError
from shakeout.labs.folders import LabFolder
from shakeout.labs.obstacles import explain
from shakeout.labs.orders import (
    HostFailed,
    HostReady,
    HostsRemoved,
    KeepLab,
    LabFailed,
    LabReady,
    MakeHost,
    Orders,
    RemoveHosts,
    RemoveLab,
)  # fmt: skip
from shakeout.processes.ends import reaped, wake_at_ends
from shakeout.processes.namespaces import (
    MS_NODEV,
    MS_NOEXEC,
    MS_NOSUID,
    MS_PRIVATE,
    MS_REC,
    NEWIPC,
    NEWNET,
    NEWNS,
    NEWPID,
    NEWUSER,
    NEWUTS,
    mount,
    set_process_name,
    setns,
    unshare,
)  # fmt: skip
from shakeout.processes.streams import open_missing_streams
from shakeout.wire.framing import FrameReader, frame

_KINDS = NEWNS | NEWNET | NEWPID | NEWUTS | NEWIPC


def main() -> NoReturn:
    """Make a laboratory for the controller at the other end of the descriptor that the first argument numbers."""
    open_missing_streams()
    control = socket.socket(fileno=int(sys.argv[1]))
    controller = _watch_controller(control)
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)
    null = os.open("/dev/null", os.O_RDWR)
    for stream in range(3):
        os.dup2(null, stream)  # a kept laboratory must not hold the terminal or pipe of who made it
    os.close(null)
    try:
        folder = LabFolder.create()
        privileged = _enter_namespaces()
    except Exception as error:  # noqa: BLE001 - the edge of a process
        control.sendall(frame(msgspec.msgpack.encode(LabFailed(explain(error)))))
        os._exit(2)
    child = os.fork()
    if child == 0:
        try:
            Spawner(control, controller, folder, privileged=privileged).run()
        except Exception:  # noqa: BLE001 - the edge of a process: say it to who reads, there is no stderr
            import traceback  # costs milliseconds, and is needed once in a while

            control.sendall(frame(msgspec.msgpack.encode(LabFailed(f"it broke:\n{traceback.format_exc()}"))))
        finally:
            os._exit(1)
    control.close()
    set_process_name("shakeout-lab")
    _, status = os.waitpid(child, 0)
    folder.remove()
    os._exit(os.waitstatus_to_exitcode(status) & 0x7F)


def _watch_controller(control: socket.socket) -> int:
    """A pidfd of the controller, which made the socket pair (a child of its may keep that open when it is gone)."""
    pid = struct.unpack("3i", control.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]
    try:
        return os.pidfd_open(pid)
    except ProcessLookupError:
        os._exit(0)


def _enter_namespaces() -> bool:
    """Enter the laboratory's namespaces; whether that went without a user namespace."""
    try:
        unshare(_KINDS)
        return True
    except PermissionError:
        uid, gid = os.geteuid(), os.getegid()
        unshare(NEWUSER | _KINDS)
        for name, text in (("setgroups", "deny"), ("uid_map", f"0 {uid} 1"), ("gid_map", f"0 {gid} 1")):
            with open(f"/proc/self/{name}", "w", encoding="ascii") as file:  # noqa: PTH123
                file.write(text)
        return False


class _Pending:
    """A host that is being made."""

    def __init__(self, name: str, path: str, pid: int) -> None:
        self.name = name
        self.path = path
        self.pid = pid
        self.said = b""


class Spawner:
    """Process 1 of the laboratory: carries out its controller's orders."""

    def __init__(self, control: socket.socket, controller: int, folder: LabFolder, *, privileged: bool) -> None:
        self._control = control
        self._controller = controller
        self._folder = folder
        self._privileged = privileged
        self._reader = FrameReader()
        self._decoder = msgspec.msgpack.Decoder(Orders)
        self._poll = select.poll()
        self._pending: dict[int, _Pending] = {}
        #: Process 1 of each host -> its socket's path.
        self._hosts: dict[int, str] = {}
        self._made = 0
        self._keep = False
        self._visitors: dict[int, socket.socket] = {}

    def run(self) -> NoReturn:
        """Serve until the controller is gone or says so."""
        set_process_name("shakeout-spawn")
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft != hard:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        self._listen_for_visitors()
        try:
            self._prepare()
        except Exception as error:  # noqa: BLE001 - the edge of a process
            self._report(LabFailed(explain(error)))
            os._exit(2)
        children, _ = wake_at_ends()
        signal.signal(signal.SIGTERM, lambda *_: self._leave())
        self._poll.register(self._control, select.POLLIN)
        self._poll.register(self._controller, select.POLLIN)
        self._poll.register(children, select.POLLIN)
        while True:
            for fd, _ in self._poll.poll():
                if fd == children:
                    os.read(children, 4096)
                    self._reap()
                elif fd == self._control.fileno():
                    self._receive()
                elif fd == self._controller:
                    self._lose_controller()
                elif fd == self._door.fileno():
                    self._admit()
                elif fd in self._visitors:
                    self._visit(fd)
                else:
                    self._progress(fd)

    def _prepare(self) -> None:
        mount("", "/", flags=MS_REC | MS_PRIVATE)
        # /proc of this PID namespace, before anything looks itself up there.
        mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)
        from shakeout.agent.properties import collect
        from shakeout.agent.zygote import set_environment
        from shakeout.labs import hostinit, rootfs
        from shakeout.labs.switches import Switches

        hostinit.warm_up()
        self._environment = hostinit.host_environment()
        set_environment(self._environment)
        self._switches = Switches()
        self._mounts = rootfs.mount_points()
        self._own_pids = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
        (self._folder.path / "mnt").mkdir(mode=0o700)
        self._properties = collect(lab="netns")
        gc.collect()
        gc.freeze()
        self._report(LabReady(str(self._folder.path), self._properties, self._privileged))

    # -- orders -----------------------------------------------------------------------------------

    def _receive(self) -> None:
        try:
            data = self._control.recv(1 << 16)
        except OSError:
            data = b""
        if not data:
            self._lose_controller()
            return
        for payload in self._reader.feed(data):
            order = self._decoder.decode(payload)
            if isinstance(order, MakeHost):
                self._make(order)
            elif isinstance(order, RemoveHosts):
                self._remove_hosts()
            elif isinstance(order, KeepLab):
                self._keep = True
            elif isinstance(order, RemoveLab):
                self._leave()

    def _lose_controller(self) -> None:
        """The controller is gone, or has let go: so goes the laboratory, unless it is kept."""
        if not self._keep:
            self._leave()
        if self._controller >= 0:
            self._poll.unregister(self._controller)
            os.close(self._controller)
            self._controller = -1
            self._poll.unregister(self._control)
            self._control.close()
            self._control = socket.socket()  # nobody to report to

    def _leave(self) -> NoReturn:
        """End: everything goes with process 1; the folder, too, should the half outside have been killed."""
        self._folder.remove()
        os._exit(0)

    def _make(self, order: MakeHost) -> None:
        from shakeout.labs import hostinit

        try:
            path = self._folder.socket_path(order.name)
            bridges = [self._switches.port(port.network) for port in order.ports]
            listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            listener.bind(path)
            listener.listen(64)
        except Exception as error:  # noqa: BLE001 - becomes the host's failure, whatever it is
            self._report(HostFailed(order.name, str(error)))
            return
        self._made += 1
        plan = hostinit.HostPlan(
            order, self._made, bridges, str(self._folder.path / "mnt"), self._mounts, self._properties,
            self._environment, privileged=self._privileged,
        )  # fmt: skip
        read, write = os.pipe2(os.O_CLOEXEC)
        try:
            pid = self._fork_process_1()
        except OSError as error:
            for end in (read, write, listener.detach()):
                os.close(end)
            self._report(HostFailed(order.name, f"no process can be made for it: {error.strerror}"))
            return
        if pid == 0:
            self._forget_all()
            os.close(read)
            hostinit.launch(plan, listener, write)
        os.close(write)
        listener.close()
        self._pending[read] = _Pending(order.name, path, pid)
        self._poll.register(read, select.POLLIN)

    def _fork_process_1(self) -> int:
        """Fork into a PID namespace of its own; as `os.fork`."""
        unshare(NEWPID)  # concerns children only
        pid = -1
        try:
            pid = os.fork()
        finally:
            if pid:
                setns(self._own_pids, NEWPID)
        return pid

    def _remove_hosts(self) -> None:
        ends = [os.pidfd_open(pid) for pid in self._hosts]
        for pid in self._hosts:
            os.kill(pid, signal.SIGKILL)  # process 1 of its namespaces: everything in them goes with it
        for end in ends:
            poll = select.poll()
            poll.register(end, select.POLLIN)
            poll.poll()
            os.close(end)
        self._reap()
        self._switches.clear()
        self._report(HostsRemoved())

    def _forget_all(self) -> None:
        """In a fresh fork: close what belongs to the spawner alone."""
        _signal.set_wakeup_fd(-1)
        _signal.signal(_signal.SIGCHLD, _signal.SIG_DFL)
        _signal.signal(_signal.SIGTERM, _signal.SIG_DFL)
        self._control.close()
        if self._controller >= 0:
            os.close(self._controller)
        self._door.close()
        for visitor in self._visitors.values():
            visitor.close()
        for fd in self._pending:
            os.close(fd)

    # -- what hosts say ---------------------------------------------------------------------------

    def _progress(self, fd: int) -> None:
        pending = self._pending.get(fd)
        if pending is None:
            return
        data = os.read(fd, 4096)
        pending.said += data
        ready = pending.said == b"ready"
        if not ready and data:
            return  # more to come
        self._poll.unregister(fd)
        os.close(fd)
        del self._pending[fd]
        if ready:
            self._hosts[pending.pid] = pending.path
            self._report(HostReady(pending.name, pending.path, pending.pid))
            return
        text = pending.said.decode(errors="replace")
        self._report(HostFailed(pending.name, text or "it ended before it was ready"))

    def _reap(self) -> None:
        for pid, _ in reaped():
            path = self._hosts.pop(pid, None)
            if path is not None:
                Path(path).unlink(missing_ok=True)

    def _report(self, report: msgspec.Struct) -> None:
        try:
            self._control.sendall(frame(msgspec.msgpack.encode(report)))
        except OSError:
            if not self._keep:
                self._leave()

    # -- others who want a kept laboratory removed ------------------------------------------------

    def _listen_for_visitors(self) -> None:
        self._door = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._door.bind(str(self._folder.path / "lab.sock"))
        self._door.listen(8)
        self._poll.register(self._door, select.POLLIN)

    def _admit(self) -> None:
        visitor, _ = self._door.accept()
        self._visitors[visitor.fileno()] = visitor
        self._poll.register(visitor, select.POLLIN)

    def _visit(self, fd: int) -> None:
        visitor = self._visitors[fd]
        try:
            for payload in FrameReader().feed(visitor.recv(1 << 12)):
                if isinstance(self._decoder.decode(payload), RemoveLab):
                    self._leave()
        except (OSError, ProtocolError, msgspec.MsgspecError):
            pass  # whatever it wants, it does not end the laboratory
        self._poll.unregister(fd)
        del self._visitors[fd]
        visitor.close()


if __name__ == "__main__":
    main()
