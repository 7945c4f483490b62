"""``python -m rockpress`` is the command ``rockpress``."""

from .cli.main import main

main()
