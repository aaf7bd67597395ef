"""SHA-256 without `hashlib`: that loads OpenSSL, whose 40 memory mappings every later fork would have to copy."""

from __future__ import annotations

__all__ = ["sha256"]

try:
    from _sha2 import sha256  # type: ignore[import-not-found]
except ImportError:
    try:
        from _sha256 import sha256  # type: ignore[import-not-found]
    except ImportError:  # an interpreter built without its own
        from hashlib import sha256
