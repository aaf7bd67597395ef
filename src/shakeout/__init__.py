"""shakeout: a laboratory for systems that live on several machines.

The public names are loaded when they are first used (PEP 562), so that importing this package
costs nothing, and so that a recipe file imports on an agent, too.
"""

from __future__ import annotations

__version__ = "0.1.0"
