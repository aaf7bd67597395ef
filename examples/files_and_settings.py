"""Files, kernel settings and processes of a host. All of it is put back when the recipe ends, whatever happens.

Run it with: shakeout run examples/files_and_settings.py
"""

import tempfile
from pathlib import Path

from shakeout import BaseRecipe, DeviceReq, HostReq


class FilesAndSettings(BaseRecipe):
    """Sends, changes and fetches."""

    m1 = HostReq()
    m1.eth0 = DeviceReq(label="net1")

    def test(self):
        m1 = self.matched.m1

        # Settings below /proc and /sys: the value before is returned, and put back at the end.
        before = m1.procfs_set("sys/net/ipv4/ip_forward", 1)
        assert (before, m1.procfs_get("sys/net/ipv4/ip_forward")) == ("0", "1")
        m1.sysfs_set("class/net/eth0/tx_queue_len", 500)

        with tempfile.TemporaryDirectory() as name:
            here = Path(name)
            (here / "etc").mkdir()
            (here / "etc" / "motd").write_text("Welcome to the laboratory.\n")
            (here / "etc" / "run.sh").write_text("#!/bin/sh\necho $1 $1\n")
            (here / "etc" / "run.sh").chmod(0o755)

            # A file, and a whole directory with its permissions. The host has a file system of its own:
            # /etc/motd of this machine stays as it is.
            m1.send_file(str(here / "etc" / "motd"), "/etc/motd")
            m1.send_file(str(here / "etc"), "/opt/ours", recursive=True)
            assert m1.run(["/opt/ours/run.sh", "twice"]).stdout == "twice twice\n"

            # The working directory, variables and standard input of a job.
            job = m1.run('cat motd - > "$TARGET"', path="/opt/ours", env={"TARGET": "both"}, stdin="And good night.\n")
            assert job.passed
            m1.recv_file("/opt/ours/both", str(here / "both"))
            text = (here / "both").read_text()

        self.add_result(text.startswith("Welcome") and text.endswith("night.\n"), "there and back again")
