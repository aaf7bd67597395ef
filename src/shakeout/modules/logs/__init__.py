"""Where lines of logs come from: files that are rotated, the journal, the kernel.

Nothing here is imported before a module that needs it runs.
"""
