"""The controller: match, connect, test, undo, and the journal of it all."""
