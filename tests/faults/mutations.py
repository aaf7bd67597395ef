"""Bytes with something wrong in them, from a seed."""

from __future__ import annotations

import random


def mutated(data: bytes, generator: random.Random) -> bytes:
    """*data* with one to four things wrong: bytes changed, flipped, left out, put in, doubled."""
    result = bytearray(data)
    for _ in range(generator.randint(1, 4)):
        if not result:
            break
        place = generator.randrange(len(result))
        match generator.randrange(5):
            case 0:
                result[place] = generator.randrange(256)
            case 1:
                result[place] ^= 1 << generator.randrange(8)
            case 2:
                del result[place : place + generator.randint(1, 8)]
            case 3:
                result[place:place] = generator.randbytes(generator.randint(1, 8))
            case _:
                result[place:place] = result[place : place + generator.randint(1, 40)]
    return bytes(result)
