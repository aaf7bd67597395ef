"""Requirements on one side, what pools have on the other: which hosts can play which part.

Nothing here does any I/O, so that a match can be computed, tested and explained without a host anywhere.
"""
