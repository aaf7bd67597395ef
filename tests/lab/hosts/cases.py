"""Test modules that misbehave, each in a way of its own."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

from tests.lab.hosts.sibling import double

from shakeout import BaseTestModule, IntParam, ModuleFailed, StrParam
from shakeout.params import DeviceParam


class Doubles(BaseTestModule):
    """Uses a sibling file."""

    number = IntParam(mandatory=True)

    def run(self):
        return {"doubled": double(self.params.number)}


class Raises(BaseTestModule):
    def run(self):
        self._res_data = {"until then": 1}
        self.deeper()

    def deeper(self):
        raise ValueError("the flux is out of phase")


class Fails(BaseTestModule):
    def run(self):
        raise ModuleFailed("7 of 10 packets were lost")


class Asserts(BaseTestModule):
    def run(self):
        assert 1 + 1 == 3, "sums"


class Prints(BaseTestModule):
    text = StrParam(default="printed\n")

    def run(self):
        sys.stdout.write(self.params.text)
        print("to stderr", file=sys.stderr)
        return 5


class PrintsMuch(BaseTestModule):
    megabytes = IntParam(default=1)

    def run(self):
        piece = b"x" * (1 << 20)
        for _ in range(self.params.megabytes):
            os.write(1, piece)
        return "done"


class Silent(BaseTestModule):
    def run(self):
        return [1, "zwei", None]


class ReturnsWhatCannotTravel(BaseTestModule):
    def run(self):
        return {"handle": object()}


class ReturnsMuch(BaseTestModule):
    megabytes = IntParam(default=1)

    def run(self):
        return b"r" * (self.params.megabytes << 20)


class LeavesByForce(BaseTestModule):
    status = IntParam(default=0)

    def run(self):
        os._exit(self.params.status)


class Exits(BaseTestModule):
    status = IntParam(default=0)

    def run(self):
        sys.exit(self.params.status)


class IsKilled(BaseTestModule):
    def run(self):
        os.kill(os.getpid(), signal.SIGKILL)


class Ignores(BaseTestModule):
    def run(self):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        print("ready", flush=True)
        while True:
            time.sleep(0.01)


class Detaches(BaseTestModule):
    """Leaves a daemon that was forked and executed nothing: only its memory is its own."""

    def run(self):
        read, write = os.pipe()
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                os.write(write, str(os.getpid()).encode())
                while True:
                    time.sleep(1)
            os._exit(0)
        return int(os.read(read, 20))


class ForksAndReturnsTwice(BaseTestModule):
    def run(self):
        os.fork()
        return "both"


class HasState(BaseTestModule):
    """`__init__` runs on the controller only; what it sets travels."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.made_by = os.getpid()
        self.table = {"a": (1, 2), "b": {3}}

    def run(self):
        return [self.made_by, os.getpid(), self.table]


class HasStateThatCannotTravel(BaseTestModule):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.callback = lambda: 1

    def run(self):
        return None


class TakesDevice(BaseTestModule):
    dev = DeviceParam(mandatory=True)

    def run(self):
        dev = self.params.dev
        return [Path(f"/sys/class/net/{dev.name}/address").read_text().strip(), dev.hwaddr, dev.if_index, dev.mtu]


class Where(BaseTestModule):
    """What surrounds a module."""

    def run(self):
        return {"cwd": str(Path.cwd()), "uid": os.getuid(), "env": dict(os.environ), "stdin": sys.stdin.read()}


class Remembers(BaseTestModule):
    """Leaves something behind in its process, and says what was there; who it is, and chance."""

    def run(self):
        import builtins
        import random

        before = getattr(builtins, "shakeout_was_here", 0)
        builtins.shakeout_was_here = before + 1
        return {"before": before, "pid": os.getpid(), "group": os.getpgid(0), "session": os.getsid(0),
                "chance": random.random()}  # fmt: skip


class ImportsLate(BaseTestModule):
    """Needs of the library what nothing has loaded before."""

    def run(self):
        import this  # noqa: F401

        return "read"
