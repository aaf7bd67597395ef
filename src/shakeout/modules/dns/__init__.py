"""What the modules about names are made of: messages and records as text and on the wire, a client, a server.

Nothing here is imported before a module that needs it runs.
"""
