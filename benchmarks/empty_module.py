"""The module that most of `benchmarks.jobs` is about, alone in its file, because whole files are shipped."""

from shakeout import BaseTestModule


class Empty(BaseTestModule):
    """Does nothing."""

    def run(self) -> None:
        pass
