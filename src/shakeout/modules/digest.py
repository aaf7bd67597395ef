"""SHA-256 without `hashlib`: that loads OpenSSL, whose 40 memory mappings every later fork would have to copy."""

from __future__ import annotations

import sys

if sys.version_info >= (3, 12):
    from _sha2 import sha256
else:
    from _sha256 import sha256
