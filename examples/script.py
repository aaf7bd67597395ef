"""A script of one's own that runs a recipe: its arguments, its loop, its use of the results.

Run it with: python examples/script.py --sizes 64 1400
"""

import argparse
import sys

from shakeout import BaseRecipe, Controller, DeviceReq, HostReq, IntParam
from shakeout.modules import Ping


class Latency(BaseRecipe):
    """Round trips of one size."""

    size = IntParam(default=64, minimum=0, maximum=65507)

    m1 = HostReq()
    m1.eth0 = DeviceReq(label="net1")
    m2 = HostReq()
    m2.eth0 = DeviceReq(label="net1")

    def test(self):
        m1, m2 = self.matched.m1, self.matched.m2
        m1.eth0.ip_add("192.0.2.1/24")
        m2.eth0.ip_add("192.0.2.2/24")
        for host in (m1, m2):
            host.eth0.up()
        job = m1.run(Ping(dst="192.0.2.2", count=5, interval=0.01, size=self.params.size))
        assert job.passed, "no answer"
        self.milliseconds = job.result["avg_ms"]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[64, 1400])
    arguments = parser.parse_args()

    controller = Controller(quiet=True)  # the summary is not printed: this script says what it finds itself
    for size in arguments.sizes:
        recipe = Latency(size=size)
        run = controller.run(recipe)  # raises what test() raises, once every host is as it was
        print(f"{size:6} bytes: {recipe.milliseconds:.3f} ms ({run.verdict}, run {run.id})")
    return 0


# What stands below this guard runs here, and not on the hosts, which import this file when it has test modules.
if __name__ == "__main__":
    sys.exit(main())
