"""What an agent that stays has in memory: its files may be replaced at any time, by another release of shakeout."""

from __future__ import annotations


def load_all() -> None:
    """Load all of shakeout that the agent and its zygote import only when somebody needs it.

    Not for agents that end with a run: each of these parts is for a few recipes only. What runs in a child, and is not
    loaded here, fails alone: see `shakeout.modules.installation`.
    """
    import shakeout.agent.inspection
    import shakeout.agent.reservation
    import shakeout.agent.services
    import shakeout.devices.codecs
    import shakeout.devices.ethtool
    import shakeout.devices.namespaces
    import shakeout.files.inotify
    import shakeout.modules.command
    import shakeout.modules.devicefacts
    import shakeout.modules.lookup
    import shakeout.modules.remedies
    import shakeout.modules.series  # noqa: F401
