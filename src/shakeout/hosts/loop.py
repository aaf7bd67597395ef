"""The controller's one background thread: it runs the reactor that has all connections."""

from __future__ import annotations

import threading

from shakeout.wire.reactor import Reactor


class LoopThread:
    """Starts the loop's thread; `close` ends it."""

    def __init__(self) -> None:
        self.reactor = Reactor()
        self._thread = threading.Thread(target=self.reactor.run, name="shakeout-loop", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop the loop and wait for its thread."""
        self.reactor.stop()
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout=5)
        self.reactor.close()
