"""Where the command begins: from here on a signal ends it with one word, also while it imports."""

from __future__ import annotations

from .stop_signals import leave_quietly


def main() -> None:
    """Run the command line."""
    leave_quietly()
    from .main import main as run_command_line

    run_command_line()
