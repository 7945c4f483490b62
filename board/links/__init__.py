"""The ways to a board: over ssh, over adb, or none at all, as this machine is the board."""
