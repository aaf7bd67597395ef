"""What measures throughput between two hosts: how both ends meet and talk, and what came of it.

Nothing here is imported before a module that needs it runs.
"""
