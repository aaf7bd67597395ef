"""What a recipe can say about the hosts that it needs.

In the default laboratory hosts are made to order, as far as this machine can; with --pool they are looked for. To see
which would be used, and run nothing: shakeout run --match-only examples/requirements.py
"""

import platform

from shakeout import AnyOf, AtLeast, BaseRecipe, Between, DeviceReq, HostReq, Match, Not, StrParam


class Requirements(BaseRecipe):
    """Values may be exact, a pattern, a set, a range, and the negation of each."""

    driver = StrParam(default="veth", desc="of both interfaces of the client")
    network = StrParam(default="net1", desc="the label of the network between the two")

    server = HostReq(arch=platform.machine(), kernel=Match(r"[3-9]\..*"), cpus=AtLeast(1))
    server.eth0 = DeviceReq(label=network, speed=Between(1000, 400_000))

    # A parameter of the recipe stands for its value: shakeout run … -- driver=mlx5_core
    client = HostReq(arch=Not("sparc64"))
    client.eth0 = DeviceReq(label=network, driver=driver)
    client.eth1 = DeviceReq(label="other", driver=AnyOf(driver, "e1000"), hwaddr=Not(Match("00:.*")))

    def __init__(self, spare="0", **kwargs):
        super().__init__(**kwargs)
        # Each instance has requirements of its own, to be adjusted: shakeout run … -- spare=2
        for number in range(int(spare)):
            self.req[f"spare{number}"] = HostReq()

    def test(self):
        server, client = self.matched.server, self.matched.client
        self.add_result(server.props.cpus >= 1, "what the agent found out", {"kernel": server.props.kernel})
        self.add_result(client.eth0.driver == self.params.driver, "what was asked for")
        assert len(self.matched) == len(self.req)
