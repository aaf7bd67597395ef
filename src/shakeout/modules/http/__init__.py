"""What the modules about HTTP are made of: checks of answers, a client with a deadline, a server.

Nothing here is imported before a module that needs it runs.
"""
