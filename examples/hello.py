"""Two hosts on one network: addresses, a ping each way, a command, a background job.

Run it with: shakeout run examples/hello.py
"""

from shakeout import BaseRecipe, DeviceReq, HostReq, IntParam
from shakeout.modules import Ping


class Hello(BaseRecipe):
    """Says hello, both ways."""

    count = IntParam(default=3, minimum=1, desc="pings each way")

    m1 = HostReq()
    m1.eth0 = DeviceReq(label="net1")

    m2 = HostReq()
    m2.eth0 = DeviceReq(label="net1")

    def test(self):
        m1, m2 = self.matched.m1, self.matched.m2

        m1.eth0.ip_add("192.168.101.1/24")
        m2.eth0.ip_add("192.168.101.2/24")
        for host in (m1, m2):
            host.eth0.up()

        watcher = m2.run("while sleep 0.05; do cat /proc/loadavg; done", bg=True, desc="watch the load")

        m1.run(Ping(dst="192.168.101.2", count=self.params.count, interval=0.01))
        m2.run(Ping(dst="192.168.101.1", count=self.params.count, interval=0.01))

        kernels = [host.run("uname -r", desc="which kernel?").stdout for host in (m1, m2)]
        self.add_result(kernels[0] == kernels[1], "both hosts run the same kernel")

        watcher.kill()
