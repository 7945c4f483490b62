"""What librknnrt or the driver refuses: by its status, and by what it prints, where the reason is.

The words are those of librknnrt 1.1 to 2.3, as people quote them in reports of errors.
"""

from __future__ import annotations

from collections.abc import Sequence

from ...core.errors import BoardError
from ...core.results.board_figures import BoardFacts
from .fault import Fault, fault_in

# where Rockchip has the library for boards
_RUNTIMES = "rknpu2/runtime/Linux/librknn_api of github.com/airockchip/rknn-toolkit2"
RUNTIME_SOURCE = f"aarch64 in {_RUNTIMES}"

CRASHED = Fault(
    "runtime-crashed",
    "the runtime of {board} crashed ({line})",
    "update librknnrt.so and the driver there; the log has its last words",
)
KILLED = Fault(
    "agent-killed",
    "our program on {board} was killed ({line}), perhaps by the system for want of memory",
    "free memory there, or use a smaller model",
)
NO_PERMISSION = Fault(
    "no-permission",
    "this user may not open the NPU of {board}: {devices}",
    "add the user to the group that owns it, such as render or video, and log in anew",
    r"(?P<devices>/dev/[\w/.-]+).*Permission denied|Permission denied.*(rknpu|/dev/dri)",
)
NO_MEMORY = Fault(
    "no-memory",
    "the memory of {board} is not enough for the model: {line}",
    "end other programs there, or use a smaller model; without an IOMMU the driver has what is "
    "reserved at boot alone",
    r"Cannot allocate memory|failed to (malloc|allocate|convert)|MALLOC_FAIL|out of memory",
)
REFUSED = Fault(
    "runtime-refused",
    "the runtime of {board} failed: {line}",
    "the log has what it printed; update librknnrt.so and the driver there",
)

RUNTIME_MISSING = Fault(
    "runtime-missing",
    "{board} has no librknnrt.so: {line}",
    f"copy librknnrt.so from {RUNTIME_SOURCE} to /usr/lib there",
    r"librknnrt\S*: cannot open shared object file",
)
# by the code of the agent
_BY_CODE = {
    fault.name: fault
    for fault in (
        RUNTIME_MISSING,
        Fault(
            "runtime-odd",
            "the runtime of {board} says of the model what cannot be: {line}",
            "build the model anew, and look that librknnrt.so is of the same version",
        ),
        Fault(
            "input",
            "the runtime of {board} was given inputs that are not the model's: {line}",
            "look that the .rknn belongs to the samples",
        ),
        Fault(
            "output-size",
            "the runtime of {board} gave an output of another size than it said: {line}",
            "build the model anew, and look that librknnrt.so is of the same version",
        ),
        Fault(
            "clocks",
            "the clocks of {board} cannot be set: {line}",
            "connect as root, or set the governors by hand",
        ),
        Fault(
            "system",
            "the system of {board} refused something: {line}",
            "look what it is short of: files, space or permission",
        ),
    )
}
# the library itself cannot be opened
_LIBRARY_FAULTS = (
    RUNTIME_MISSING,
    Fault(
        "runtime-of-other-arch",
        "librknnrt.so of {board} is for another processor: {line}",
        f"copy the board's from aarch64, or armhf where Python has 32 bits, in {_RUNTIMES}",
        r"wrong ELF class|invalid ELF header|file in wrong format|Exec format error",
    ),
    Fault(
        "runtime-dependency",
        "librknnrt.so of {board} needs a library that is not there: {line}",
        "install it there, or take the librknnrt.so of an older toolkit",
        r"version `.*' not found|cannot open shared object file",
    ),
    Fault(
        "runtime-broken",
        "librknnrt.so of {board} is not whole, or something else: {line}",
        f"copy it anew from {RUNTIME_SOURCE}",
        r".",
    ),
)
# in what the runtime prints, the surest first
_PRINTED = (
    Fault(
        "model-newer",
        "librknnrt.so of {board} (version {runtime}) is older than the model: {line}",
        "copy librknnrt.so of the toolkit that built the model to /usr/lib there, from "
        f"{RUNTIME_SOURCE}",
        r"Invalid RKNN model version \d+",
    ),
    Fault(
        "other-chip",
        "the model is for another chip than {board} has ({chip}): {line}",
        "convert it for that chip",
        r"does not match the RKNPU hardware|target platform.*(current|match)"
        r"|TARGET_PLATFORM_UNMATCH",
    ),
    NO_PERMISSION,
    Fault(
        "too-many-files",
        "{board} allows too few open files: {line}",
        "allow more there (ulimit -n)",
        r"Too many open files",
    ),
    NO_MEMORY,
    Fault(
        "no-driver",
        "{board} has no driver of the NPU: {line}",
        "use a kernel of Rockchip's with CONFIG_ROCKCHIP_RKNPU, or load its module; lsmod and "
        "dmesg tell",
        r"failed to open rknpu|insmod rknpu|failed to open rknn device",
    ),
    Fault(
        "driver-old",
        "the driver of {board} is too old for its librknnrt ({driver}): {line}",
        "update the kernel, or take an older librknnrt.so",
        r"driver version is too low|DEVICE_UNMATCH|driver.*too old",
    ),
    Fault(
        "npu-busy",
        "the NPU of {board} is not free: {line}",
        "end what else uses it there, or restart the board",
        r"Device or resource busy|DEVICE_UNAVAILABLE|Device is not available",
    ),
    Fault(
        "npu-hung",
        "the NPU of {board} did not finish: {line}",
        "restart the board; if it happens again update driver and librknnrt.so",
        r"failed to submit|failed to wait job|RKNN_ERR_TIMEOUT",
    ),
    Fault(
        "core-mask",
        "the NPU of {board} has no such cores: {line}",
        "only RK3588 and RK3576 have several",
        r"core_mask",
    ),
    Fault(
        "no-layer-times",
        "the runtime of {board} has no times of layers: {line}",
        "update librknnrt.so there",
        r"PERF_DETAIL|perf.*not support",
    ),
    Fault(
        "model-damaged",
        "the runtime of {board} takes the file for no model: {line}",
        "convert it anew, and look that nothing was changed on the way",
        r"Invalid RKNN format|MODEL_INVALID|INCOMPATILE",
    ),
    Fault(
        "runtime-parameter",
        "the runtime of {board} takes a call of ours for wrong: {line}",
        "update librknnrt.so there; if that does not help please report it",
        r"PARAM_INVALID|INPUT_INVALID|OUTPUT_INVALID|CTX_INVALID",
    ),
)
RUNTIME_FAULTS = (
    *_BY_CODE.values(),
    *_LIBRARY_FAULTS[1:],
    *_PRINTED,
    *(CRASHED, KILLED, REFUSED),
)


def refusal(
    board: str,
    code: str,
    text: str,
    log: Sequence[str] = (),
    facts: BoardFacts | None = None,
) -> BoardError:
    """Return what a refusal of the agent means, with the ``log`` that the runtime wrote.

    ``facts`` tell the versions, and whether the driver's files may be opened.
    """
    printed = "\n".join((*log, text))
    fault = _fault(code, text, printed, facts)
    denied = _denied(facts) if facts else []
    fields = {
        "runtime": (facts and facts.runtime) or "unknown",
        "driver": (facts and facts.driver) or "unknown",
        "chip": (facts and facts.chip) or "unknown",
    }
    if denied:
        fields["devices"] = ", ".join(denied)
    output = text if fault in (*_BY_CODE.values(), CRASHED, KILLED, REFUSED) else printed
    return fault.error(board, output, log="\n".join((*log, text)), **fields)


def _fault(code: str, text: str, printed: str, facts: BoardFacts | None) -> Fault:
    if code == "crash":
        return KILLED if "SIGKILL" in text else CRASHED
    if code == "memory":
        return NO_MEMORY
    if code == "runtime-broken":
        return fault_in(text, _LIBRARY_FAULTS) or REFUSED
    if code in _BY_CODE:
        return _BY_CODE[code]
    fault = fault_in(printed, _PRINTED) or REFUSED
    # it says so too when it may not open what is there
    is_denied = fault.name == "no-driver" and facts and _denied(facts)
    return NO_PERMISSION if is_denied else fault


def _denied(facts: BoardFacts) -> list[str]:
    """Return the files of drivers that this user may not open."""
    nodes = (device for device in facts.devices if not device.path.startswith("/dev/dma_heap"))
    return [device.path for device in nodes if not device.is_usable]
