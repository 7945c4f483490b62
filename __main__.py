"""``python -m rockpress`` is the command ``rockpress``."""

from .cli.entry import main

main()
