"""A host in the middle that bridges two networks: devices are made by assignment, and gone when the recipe ends.

Run it with: shakeout run examples/bridge.py
"""

from shakeout import BaseRecipe, BridgeDevice, DeviceReq, HostReq, IntParam
from shakeout.modules import Ping


class Bridged(BaseRecipe):
    """Two hosts on different networks reach each other through the bridge of a third."""

    mtu = IntParam(default=1500, minimum=1280, desc="of every interface on the way")

    left = HostReq()
    left.eth0 = DeviceReq(label="west")

    switch = HostReq()
    switch.west = DeviceReq(label="west")
    switch.east = DeviceReq(label="east")

    right = HostReq()
    right.eth0 = DeviceReq(label="east")

    def test(self):
        left, switch, right = self.matched.left, self.matched.switch, self.matched.right
        for device in (left.eth0, switch.west, switch.east, right.eth0):
            device.mtu = self.params.mtu
            device.up()
        left.eth0.ip_add("192.0.2.1/24")
        right.eth0.ip_add("192.0.2.2/24")

        # Without a bridge the two do not reach each other: this job is expected to fail.
        left.run(Ping(dst="192.0.2.2", count=1, timeout=0.2), fail=True, desc="no way yet")

        switch.br0 = BridgeDevice(stp_state=False)
        switch.br0.slave_add(switch.west)
        switch.br0.slave_add(switch.east)
        switch.br0.up()
        left.run(Ping(dst="192.0.2.2", count=3, interval=0.01, size=self.params.mtu - 28))

        learned = switch.run("bridge fdb show br br0", desc="what the bridge has learned").stdout
        self.add_result(left.eth0.hwaddr in learned and right.eth0.hwaddr in learned, "the bridge knows both hosts")
        self.add_result(switch.west.master.name == "br0", "the port knows its bridge")
