"""Processes: spawning them, finding what they left behind, ending whole trees of them, entering namespaces."""
