"""The agent: one on every host, resident, doing what the controller that holds the host's lease asks for."""
