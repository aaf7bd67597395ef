"""Test modules that leave files for the run."""

from __future__ import annotations

import time
from pathlib import Path

from shakeout import BaseTestModule, BoolParam, ListParam, StrParam


class Leaves(BaseTestModule):
    """Writes files, and if wanted goes on until it is stopped."""

    paths = ListParam(StrParam(), mandatory=True)
    move = BoolParam(default=False)
    endless = BoolParam(default=False)
    passes = BoolParam(default=True)

    def run(self):
        for path in self.paths:
            if not path.startswith("/nonesuch"):
                Path(path).write_text(f"what was in {path}\n")
        self._res_data = {"paths": self.paths}
        try:
            print("ready", flush=True)
            while self.endless:
                time.sleep(60)
        except KeyboardInterrupt:
            Path(self.paths[0]).write_text("whole\n")
        return self.passes

    def artifacts(self, result):
        return dict.fromkeys(result["paths"], self.move)
