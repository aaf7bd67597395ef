"""A test module of one's own: made here, sent to the host with its parameters, run there.

Nothing has to be installed on the host: the file is sent, with the files beside it that it imports.
Run it with: shakeout run examples/own_module.py
"""

import hashlib
import time

from shakeout import BaseRecipe, BaseTestModule, HostReq, IntParam, ListParam, ModuleFailed, StrParam


class HashSpeed(BaseTestModule):
    """How many bytes a second the host can hash."""

    algorithm = StrParam(default="sha256")
    sizes = ListParam(IntParam(minimum=1), default=[1024, 65536], desc="bytes hashed at once")
    least = IntParam(default=1, desc="bytes a second below which the test fails")

    def __init__(self, **kwargs):
        super().__init__(**kwargs)  # takes the parameters; checks of one's own come after it, and are made here
        if self.params.algorithm not in hashlib.algorithms_available:
            raise ValueError(f"there is no hash algorithm {self.params.algorithm!r}")

    def run(self):
        speeds = {str(size): self.speed(size) for size in self.params.sizes}
        if min(speeds.values()) < self.params.least:
            raise ModuleFailed(f"slower than {self.params.least} bytes a second: {speeds}")
        return speeds  # any plain data: it is the job's result

    def speed(self, size):
        data, count, began = bytes(size), 0, time.monotonic()
        while time.monotonic() < began + 0.02:
            hashlib.new(self.params.algorithm, data)
            count += 1
        return round(count * size / (time.monotonic() - began))


class OwnModule(BaseRecipe):
    """Runs it, in the foreground and on two hosts at once."""

    m1 = HostReq()
    m2 = HostReq()

    def test(self):
        job = self.matched.m1.run(HashSpeed(), desc="hash on m1")
        assert job.result["65536"] > job.result["1024"]

        # A module that fails says why; here it is expected to.
        slow = self.matched.m1.run(HashSpeed(least=10**15), fail=True, desc="nobody is that fast")
        assert "slower than" in str(slow)

        jobs = self.matched.run(HashSpeed(algorithm="md5", sizes=[4096]))
        self.add_result(True, "bytes a second", {host: job.result["4096"] for host, job in jobs.items()})
