"""``python -m shakeout.cli``."""

from shakeout.cli import main

main()
