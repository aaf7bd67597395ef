"""A test module in a file of its own."""

from shakeout import BaseTestModule, IntParam


class Triples(BaseTestModule):
    number = IntParam(mandatory=True)

    def run(self):
        return 3 * self.params.number
