"""A program that makes many runs on one pool, waiting in line, several at a time: see test_pool_fights.

Arguments: the pool's directory, a folder for runs, a seed, how many runs, how many at a time, and of which recipes.
Prints a JSON list: of each run, when it was asked for and when its test began and ended (seconds, monotonic), its
hosts, and what went wrong.
"""

from __future__ import annotations

import json
import random
import sys
import threading
import time
import traceback
from typing import Any

from shakeout import BaseRecipe, Controller, HostReq

# Fails if the file is there: then the host is in two hands.
TAKE = "set -o noclobber; echo $$ > /run/in-hands"


class Noting(BaseRecipe):
    def test(self) -> None:
        self.began = time.monotonic()
        for host in self.matched:
            host.run(TAKE)
        for host in self.matched:
            host.run(f"sleep {random.random() / 100:.4f}; rm /run/in-hands")
        self.ended = time.monotonic()


class One(Noting):
    m1 = HostReq()


class Two(Noting):
    m1 = HostReq()
    m2 = HostReq()


def one_run(pool: str, runs: str, needs: type[Noting]) -> dict[str, Any]:
    asked = time.monotonic()
    said: dict[str, Any] = {"needs": needs.__name__, "asked": asked, "trouble": ""}
    try:
        recipe = needs()
        run = Controller(pools=[pool], runs_dir=runs, wait=True, quiet=True, breakpoints=False).run(recipe)
        said |= {"began": recipe.began, "ended": recipe.ended, "verdict": run.verdict.value}
        if run.verdict.value != "passed":
            said["trouble"] = f"{run.verdict.value}: {run.journal}"
    except Exception:  # noqa: BLE001
        said["trouble"] = traceback.format_exc()
    return said


def main(pool: str, runs: str, seed: str, count: str, beside: str, needs: str) -> None:
    dice = random.Random(int(seed))
    left = [{"One": One, "Two": Two}[dice.choice(needs.split(","))] for _ in range(int(count))]
    told: list[dict[str, Any]] = []

    def work() -> None:
        while True:
            try:
                needs = left.pop()
            except IndexError:
                return
            told.append(one_run(pool, runs, needs))

    threads = [threading.Thread(target=work) for _ in range(int(beside))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    json.dump(told, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
