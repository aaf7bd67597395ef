"""Hosts without a recipe: for tests of modules, of devices, and of shakeout itself.

>>> from shakeout.testing import hosts
>>> with hosts("m1", "m2") as matched:
...     matched.m1.run("uname -r").stdout

`hosts` makes them from namespaces, as the default laboratory does, and puts them away. `Laboratory` does it many times
over with one laboratory. `StandaloneAgent` is an agent of its own, as on a real machine, that cannot hurt this one.
`Recording` is a journal in memory.
"""

from shakeout.testing.connection import Connected
from shakeout.testing.laboratory import Laboratory, hosts
from shakeout.testing.recording import Recording
from shakeout.testing.standalone import StandaloneAgent

__all__ = ["Connected", "Laboratory", "Recording", "StandaloneAgent", "hosts"]
