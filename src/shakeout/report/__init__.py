"""Journals as text and documents: summary, JUnit, JSON, KTAP, HTML. Reads journals, never writes them."""
