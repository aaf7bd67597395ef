"""Files of this machine, as every layer needs them: written whole or not at all; word of their changes."""
