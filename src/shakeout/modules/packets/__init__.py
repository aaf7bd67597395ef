"""Packets as test modules see them: filters, capture rings, files of packets, and their description in words.

Nothing here is imported before a module that works with packets runs.
"""
