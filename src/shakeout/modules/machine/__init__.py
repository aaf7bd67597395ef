"""A host as the kernel tells of it: its processes, CPUs, memory, disks and interfaces' counters.

Nothing here is imported before a module that needs it runs.
"""
