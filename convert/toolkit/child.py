"""rknn-toolkit2 at work, in a process of its own: ``python child.py ORDERS PROGRESS PARENT``.

rknn-toolkit2 may exit, abort, crash, fill the memory or the current folder, so nothing of it runs
inside rockpress itself. This file, child_plan.py and child_simulation.py import only the standard
library, numpy and rknn, so that the interpreter of another environment, with another toolkit, can
run them too.

ORDERS and PROGRESS are file descriptors. Each line of ORDERS names a folder with a ``job.json``,
which says what to do (see job.py). ``result.json`` in that folder says what came of it, and is
there only when the job ran to its end or the toolkit failed in an orderly way; ``log.txt`` takes
all that is printed. Lines written to PROGRESS name the stage that runs, and "finished" ends a job.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import importlib.machinery
import importlib.metadata
import importlib.util
import inspect
import json
import os
import resource
import runpy
import signal
import sys
import tempfile
import traceback
import types
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

_PR_SET_PDEATHSIG = 1
_OF_BUILD = ("auto_hybrid",)
_FOLDER = os.path.dirname(os.path.abspath(__file__))


class Refused(RuntimeError):
    """The toolkit returned another code than 0."""


class UnknownSetting(RuntimeError):
    """The toolkit has no setting of this name."""


class MistypedSetting(RuntimeError):
    """The value of a setting has another type than the toolkit's default for it."""


class Recorder:
    """Notes the stage that runs, and at the end writes what came of the job.

    A context manager instead of an except clause, because every kind of exception the toolkit may
    raise counts, its calls of exit() among them.
    """

    def __init__(self, progress: int) -> None:
        self.stage = "start"
        self.result: dict[str, Any] = {}
        self._progress = progress

    def enter(self, stage: str, detail: str = "") -> None:
        """Say that a stage begins."""
        self.stage = stage
        os.write(self._progress, f"{stage} {detail}".strip().encode() + b"\n")

    def __enter__(self) -> Recorder:
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> bool:
        self.result["peak"] = _peak_address_space()
        _limit_memory()  # or there may be no room left to say that there was none
        self.result["stage"] = self.stage
        if error is not None:
            self.result["failure"] = kind.__name__
            self.result["text"] = "".join(traceback.format_exception(kind, error, trace))
        temporary = Path("result.json.part")
        temporary.write_text(json.dumps(self.result), encoding="utf-8")
        temporary.replace("result.json")
        return True


def main() -> None:
    """Do the jobs whose folders come in; never returns."""
    orders, progress, parent = (int(word) for word in sys.argv[1:4])
    _die_with_parent(parent)
    for pipe in (orders, progress):
        # whatever the toolkit starts must not keep the parent waiting for the end of the progress
        os.set_inheritable(pipe, False)
    # the names of rockpress's own modules beside this file must not hide anybody else's
    sys.path[:] = [path for path in sys.path if os.path.abspath(path) != _FOLDER]
    for line in os.fdopen(orders, "rb"):
        _enter_folder(os.fsdecode(line.rstrip(b"\n")))
        used = _do_job(json.loads(Path("job.json").read_text(encoding="utf-8")), progress)
        sys.stdout.flush()
        ctypes.CDLL(None).fflush(None)  # what native code printed belongs to this job's log
        os.write(progress, b"finished\n")
        for rknn in used:  # not before: the toolkit's destructors have crashed
            rknn.release()
    os._exit(0)


def _enter_folder(folder: str) -> None:
    """Work there: the log, the temporary files and whatever the toolkit drops go there."""
    os.chdir(folder)
    os.environ["TMPDIR"] = tempfile.tempdir = folder
    log = os.open("log.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)


def _do_job(job: dict[str, Any], progress: int) -> list[Any]:
    """Do one job and write what came of it; returns the toolkit's objects that are still open."""
    used: list[Any] = []
    with Recorder(progress) as recorder:
        recorder.enter("import")
        _stand_in_for_torch()
        recorder.result["toolkit"] = importlib.metadata.version("rknn-toolkit2")
        from rknn.api import RKNN

        def make() -> Any:
            # the compiler's layer table is printed only when verbose
            used.append(RKNN(verbose=True))
            return used[-1]

        recorder.enter("config")
        # not before: OpenBLAS spins for ever when it cannot have its buffers
        _limit_memory(job["memory_limit"])
        _convert(make, job, recorder)
    return used


def _convert(make: Callable[[], Any], job: dict[str, Any], recorder: Recorder) -> None:
    rknn = make()
    settings, for_build = _settings(rknn, job)
    _demand(rknn.config(**settings))
    recorder.enter("load")
    _demand(rknn.load_onnx(model=job["model"]))
    if job["plan"] is None:
        recorder.enter("build")
        dataset = job["dataset"]
        batched = {**_batch(job), **for_build}
        _demand(rknn.build(do_quantization=dataset is not None, dataset=dataset, **batched))
    else:
        _apply_plan(rknn, job, recorder)
        rknn = make()  # the second step refuses an object that has loaded a model
        recorder.enter("build")
        stem = Path(job["model"]).stem
        config = f"{stem}.quantization.cfg"
        _demand(rknn.hybrid_quantization_step2(f"{stem}.model", f"{stem}.data", config))
    if job["export"]:
        recorder.enter("export")
        _demand(rknn.export_rknn(job["export"]))
    if job["count"]:
        recorder.enter("simulator")
        _demand(rknn.init_runtime())
        recorder.result["outputs"] = _simulate(rknn, job, recorder)


def _settings(rknn: Any, job: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What config() and build() are given; the toolkit itself takes any name for one of config."""
    asked = job["settings"]
    build = {key: asked[key] for key in asked if key in _OF_BUILD}
    settable = [*inspect.signature(rknn.config).parameters, *_OF_BUILD]
    unknown = [key for key in asked if key not in settable or key == "kwargs"]
    if unknown:
        free = sorted({*settable} - {*job["config"], "kwargs"})
        raise UnknownSetting(f"{unknown[0]} is none of: {', '.join(free)}")
    _require_types(asked, inspect.signature(rknn.config).parameters)
    rest = {key: value for key, value in asked.items() if key not in build}
    return {**rest, **job["config"]}, build


def _require_types(asked: dict[str, Any], parameters: Mapping[str, inspect.Parameter]) -> None:
    """The toolkit itself takes any text for true, and fails late or never."""
    for key, value in asked.items():
        default = parameters[key].default if key in parameters else False
        kinds = (int, float) if isinstance(default, float) else (type(default),)
        if default is not None and type(value) not in kinds:
            raise MistypedSetting(json.dumps([key, value, type(default).__name__]))


def _apply_plan(rknn: Any, job: dict[str, Any], recorder: Recorder) -> None:
    """First step of the toolkit's hybrid quantization, then our ranges and types put into it."""
    recorder.enter("calibrate")
    _demand(rknn.hybrid_quantization_step1(dataset=job["dataset"], **_batch(job)))
    config = Path(Path(job["model"]).stem + ".quantization.cfg")
    write = runpy.run_path(os.path.join(_FOLDER, "child_plan.py"))["write_plan"]
    recorder.result["carried"] = write(config, job["plan"])


def _batch(job: dict[str, Any]) -> dict[str, int]:
    return {"rknn_batch_size": job["batch"]} if job["batch"] > 1 else {}


def _demand(code: int) -> None:
    if code != 0:
        raise Refused(f"returned {code}")


def _simulate(rknn: Any, job: dict[str, Any], recorder: Recorder) -> int:
    """Run every sample; write output i to ``output<i>.npy``. Returns how many."""
    import numpy as np

    count = job["count"]
    inputs = [
        np.memmap(entry["file"], entry["dtype"], "r", shape=(count, *entry["shape"]))
        for entry in job["inputs"]
    ]
    layouts = [entry["layout"] for entry in job["inputs"]]

    def infer(index: int) -> list[Any]:
        # of a larger batch all rows are the one sample
        feeds = [np.repeat(file[index], job["batch"], axis=0) for file in inputs]
        outputs = rknn.inference(inputs=feeds, data_format=layouts)
        if outputs is None:
            raise Refused("returned no outputs")
        arrays = [np.atleast_1d(output) for output in outputs]  # integers may have no axis
        return [array[: len(array) // job["batch"]] for array in arrays]

    run = runpy.run_path(os.path.join(_FOLDER, "child_simulation.py"))["simulate"]
    tell = functools.partial(recorder.enter, "simulate")
    written: int = run(infer, count, job["processes"], tell, _die_with_parent)
    return written


def _stand_in_for_torch() -> None:
    """Where torch is absent, put the few names of it that the toolkit's ONNX path uses.

    Three classes are named when it is imported; one rule for attention graphs (rknn-toolkit2
    2.5.0) reorders indices with arange, split and cat, for which arrays of numpy will do.
    """
    if importlib.util.find_spec("torch") is not None:
        return
    import numpy as np

    def split(array: Any, sizes: Any, dim: int = 0) -> Any:
        whole = isinstance(sizes, int)
        cuts = range(sizes, array.shape[dim], sizes) if whole else np.cumsum(sizes)[:-1]
        return tuple(np.split(array, list(cuts), axis=dim))

    def cat(arrays: Any, dim: int = 0) -> Any:
        return np.concatenate(list(arrays), axis=dim)

    class Module:
        pass

    names = {"Tensor": Module, "no_grad": _no_grad, "arange": np.arange, "split": split, "cat": cat}
    torch, nn = types.ModuleType("torch"), types.ModuleType("torch.nn")
    for module in (torch, nn):
        module.__spec__ = importlib.machinery.ModuleSpec(module.__name__, None)
        sys.modules[module.__name__] = module
    torch.__dict__.update(names, nn=nn)
    nn.__dict__["Module"] = Module


@contextlib.contextmanager
def _no_grad() -> Iterator[None]:
    """Do nothing, as a decorator and as a context manager."""
    yield


def _die_with_parent(parent: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died before the call above
            os._exit(1)


def _peak_address_space() -> int:
    """Bytes; what the memory limit is about. 0 where the system does not tell."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    peaks = [line.split()[1] for line in lines if line.startswith("VmPeak:")]
    return int(peaks[0]) * 1024 if peaks else 0


def _limit_memory(limit: int = resource.RLIM_INFINITY) -> None:
    """Set the limit of the address space, by default to the largest that is allowed."""
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    limits = [size for size in (limit, hard) if size != resource.RLIM_INFINITY]
    soft = min(limits, default=resource.RLIM_INFINITY)
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


if __name__ == "__main__":
    main()
