"""What the adb program says when a board cannot be reached."""

from __future__ import annotations

from .fault import Fault

NO_ADB = Fault(
    "no-adb",
    "adb is not installed here: {line}",
    "install adb (android-tools-adb, or the SDK's platform tools), or use ssh://user@host",
)
ADB_SILENT = Fault(
    "adb-silent",
    "adb did not answer for {seconds} s",
    "start its server anew: adb kill-server; adb devices",
)
ADB_TOO_OLD = Fault(
    "adb-too-old",
    "the adb of {board} cannot pass bytes and exit codes on (it has no shell_v2)",
    "use ssh://user@host, or a newer adbd on the board",
)
ADB_FAILED = Fault(
    "adb-failed",
    "adb to {board} failed: {line}",
    "adb devices -l lists what it sees",
)
ADB_LOST = Fault(
    "adb-lost",
    "adb lost {board}: {line}",
    "look at the cable and the power of the board, then start again",
    r"protocol fault|connection reset|error: closed|device disconnected|transport error"
    r"|Broken pipe|failed to read|failed to copy.*(closed|EOF|reset)|\bEOF\b",
)

ADB_FAULTS = (
    Fault(
        "adb-unauthorized",
        "{board} does not trust this machine: {line}",
        "confirm this machine's key on the board, or put ~/.android/adbkey.pub into its adb_keys",
        r"unauthorized|still authorizing",
    ),
    Fault(
        "adb-no-permission",
        "adb may not open the USB device of {board}: {line}",
        "add a udev rule for Rockchip (vendor 2207), or be in the group plugdev",
        r"no permissions|insufficient permissions",
    ),
    Fault(
        "adb-offline",
        "{board} is offline: {line}",
        "plug the cable in again, or restart the board",
        r"device (still )?offline|offline",
    ),
    Fault(
        "adb-several",
        "adb sees several devices, and {board} names none: {line}",
        "give the serial number of one: adb://SERIAL; adb devices lists them",
        r"more than one (device|emulator)",
    ),
    Fault(
        "adb-no-device",
        "adb sees no device",
        "plug the board in by its OTG port; adb devices lists what adb sees",
        r"no devices(/emulators)? found|no devices found",
    ),
    Fault(
        "adb-unknown-serial",
        "adb knows no device of the serial number in {board}",
        "adb devices lists the serial numbers",
        r"device '.*' not found|device not found|unknown host service|unknown device",
    ),
    Fault(
        "adb-server",
        "the server of adb cannot be started or reached: {line}",
        "adb kill-server, then adb devices; another program may have its port 5037",
        r"cannot connect to daemon|failed to start daemon|server version .* doesn't match"
        r"|could not install .*smartsocket|ADB server didn't ACK",
    ),
    ADB_LOST,
)
