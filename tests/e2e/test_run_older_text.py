"""A recipe written from the older texts runs: their names of classes, methods and requirements still mean something."""

from __future__ import annotations

import pytest
from tests.e2e.user import User

OLD = """
    import shakeout
    from shakeout import BaseRecipe, BaseTestModule, Controller, HostReq, IfaceReq, IntType, IpType, Multiparam, StrType

    class MyTest(BaseTestModule):
        param = IntType(mandatory=True)
        param2 = StrType()
        param3 = Multiparam(IntType())

        def __init__(self, **kwargs):
            super(MyTest, self).__init__(**kwargs)
            if self.params.param < 0:
                raise ValueError("param is negative")

        def run(self):
            print("working")
            self._res_data = {"sum": sum(self.params.param3) + self.params.param}
            return True

    class MyRecipe(shakeout.BaseRecipe):
        m1 = HostReq()
        m1.if1 = IfaceReq(label="xyz", driver="mlx")
        m2 = HostReq()
        m2.if1 = IfaceReq(label="xyz")
        mtu = IntType(default=1500)

        def __init__(self, driver="veth", **kwargs):
            super().__init__(**kwargs)
            self.reqs.m1.if1.driver = driver
            self.reqs.m3 = HostReq()
            assert self.requirements is self.req is self.reqs

        def test(self):
            m1, m2 = self.matched.m1, self.matched.m2
            for host, address in ((m1, "192.0.2.1/24"), (m2, "192.0.2.2/24")):
                host.if1.mtu = self.params.mtu
                host.if1.ip_add(address)
                host.if1.up()
            ping = shakeout.modules.Ping(dst=m2.if1.ips[0], count=2, interval=0.01)
            m1.run(ping)
            job = m1.run(MyTest(param=3, param3=[1, 2]))
            assert job.result == {"sum": 6}, job.result
            assert "working" in str(job)
            assert {name for name, value in m1.if1} >= {"if_index", "ifi_type", "name", "hwaddr", "state", "driver",
                                                        "mtu", "ips", "master", "link_stats"}
            m1.br0 = shakeout.BridgeDevice()
            m1.br0.slave_add(m1.if1)
            assert m1.if1.master.name == "br0"
            m1.br0.slave_del(m1.if1)
            m1.br0.remove()
            m2.if1.clear_ips()
            assert not [ip for ip in m2.if1.ips if ":" not in str(ip)]
            assert m1.if1.destroy() is True
            kernel = m1.props.kernel
            self.add_result(True, "all of it", {"kernel": kernel, "mtu": m1.if1.mtu})
"""


@pytest.mark.needs("namespaces", "ping")
def test_a_recipe_from_the_older_texts(user: User) -> None:
    user.write("MyRecipe.py", OLD)
    done = user.shakeout("-d", "run", "MyRecipe.py", "--", "mtu=8000")
    assert done.status == 0, done.out
    assert "mtu: 8000" in done.out


@pytest.mark.needs("namespaces", "ping")
def test_a_script_from_the_older_texts(user: User) -> None:
    user.write("MyRecipes.py", OLD)
    user.write("lab.toml", f'runs_dir = "{user.folder}/runs"\n')
    user.write(
        "my_test_script.py",
        """
        #!/bin/python
        from MyRecipes import MyRecipe
        from shakeout import Controller

        recipe_instance = MyRecipe(mtu="5000")
        ctl = Controller(config="lab.toml")
        ctl.run(recipe_instance)
        """,
    )
    done = user.python("my_test_script.py")
    assert done.status == 0, done.out + done.err
    assert "MyRecipe runs on:" in done.err
    assert "mtu: 5000" in done.out
    assert done.result.startswith("RESULT PASS")
    assert len(list((user.folder / "runs").iterdir())) == 1
