"""Runs as journals: the events, their writer, and their readers.

``events`` are the typed lines, ``writer`` appends them, ``reader`` and ``runs`` read them back,
``follow`` reads along; ``verdict`` says what a run came to.
"""
