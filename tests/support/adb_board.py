"""A stand-in for the adb program, and for the board at the other end of its cable.

It passes bytes and exit codes on as the real one does with shell_v2, and what it says when it fails
are lines that people quote of the real one. No board was ever at the other end.
"""

from __future__ import annotations

import os
from pathlib import Path

SERIAL = "c3d9b8674f4b94f6"
_NOTHING = "error: no devices/emulators found"
# state -> what adb says of it on stderr
SAYINGS = {
    "nothing": _NOTHING,
    "unauthorized": "error: device unauthorized.\nThis adb server's $ADB_VENDOR_KEYS is not set\n"
    "Try 'adb kill-server' if that seems wrong.",
    "offline": "error: device offline",
    "several": "error: more than one device/emulator",
    "no-permission": "error: insufficient permissions for device: user in plugdev group; are your "
    "udev rules wrong?\nSee [http://developer.android.com/tools/device.html] for more information",
    "other": f"error: device '{SERIAL}' not found",
    "server": "* daemon not running; starting now at tcp:5037\nADB server didn't ACK\n"
    "* failed to start daemon\nerror: cannot connect to daemon",
    "odd": "error: something that nobody has heard of",
    "lost": "error: closed",
}
_SCRIPT = """#!/bin/sh
state=$(cat {folder}/state)
[ "$1" = -s ] && shift 2
case $state in
  works) features="shell_v2 cmd stat_v2" ;;
  old) features="cmd" ;;
  slow) exec sleep 60 ;;
  *) cat {folder}/says/$state >&2; exit 1 ;;
esac
[ "$1" = features ] && echo $features | tr ' ' '\\n' && exit 0
[ "$1 $2" = "shell -T" ] || exit 2
exec env -i PATH="{path}" TMPDIR={folder}/tmp sh -c "$3"
"""


class AdbBoard:
    """A folder with the program ``adb`` in ``tools``, and the board's ``tmp``."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.temporary, tools = folder, folder / "tmp", folder / "tools"
        for path in (folder, self.temporary, tools, folder / "says"):
            path.mkdir(exist_ok=True)
        for state, words in SAYINGS.items():
            (folder / "says" / state).write_text(words + "\n")
        program = tools / "adb"
        program.write_text(_SCRIPT.format(folder=folder, path=os.environ["PATH"]))
        program.chmod(0o755)
        self.search_path = f"{tools}:{os.environ['PATH']}"
        self.be("works")

    def be(self, state: str) -> None:
        """Work, be old or slow, or fail in one of the ways of SAYINGS."""
        (self.folder / "state").write_text(state)
