"""Jobs in the background: start, watch, talk to, wait for the first or for all, end.

Run it with: shakeout run examples/background_jobs.py
"""

import select
import signal

from shakeout import PIPE, BaseRecipe, HostReq, wait_all, wait_any


class BackgroundJobs(BaseRecipe):
    """Several jobs on two hosts at once."""

    m1 = HostReq()
    m2 = HostReq()

    def test(self):
        m1, m2 = self.matched.m1, self.matched.m2

        # Wait for whichever ends first, then for all of them.
        slow = m1.run("sleep 0.2", bg=True)
        quick = m2.run("sleep 0.05; echo done", bg=True)
        assert quick in wait_any([slow, quick], timeout=10)
        assert wait_all([slow, quick], timeout=10)
        assert quick.stdout == "done\n"

        # A job is something that select() can wait for, beside sockets and files of your own.
        jobs = [host.run("sleep 0.05", bg=True) for host in (m1, m2)]
        ready, _, _ = select.select(jobs, [], [], 10)
        assert all(job.finished for job in ready)
        wait_all(jobs)

        # Wait for what a server prints, talk to it, and end it.
        echo = m1.run("echo ready; while read line; do echo got $line; done", bg=True, stdin=PIPE, desc="server")
        echo.wait_output("ready", timeout=10)
        echo.write("one\n")
        echo.wait_output(r"got one", timeout=10)
        echo.kill(signal.SIGTERM)
        echo.wait(10)
        self.add_result(echo.finished, "the server has ended", {"signal": echo.signal})

        # Wait until something holds, tried on the host itself.
        m2.run("sleep 0.05; touch /tmp/flag", bg=True)
        m2.wait_for("test -e /tmp/flag", timeout=10)

        # What still runs when the recipe ends is ended then, and that is no failure.
        m2.run("sleep 600", bg=True, desc="forgotten")
