"""The simulator at work on many samples, for child.py, which loads this file by its path.

The simulator uses one thread, so the samples are dealt out to several processes. They are forks of
the one that has built the model: that needs no second build, and no second copy of the model.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable
from typing import Any

_PROGRESS_STEP = 50  # simulated samples between two progress lines
_LEAST = 4  # samples for which another process is worth its start


def simulate(
    infer: Callable[[int], Any],
    count: int,
    processes: int,
    tell: Callable[[str], None],
    bind: Callable[[int], None],
) -> int:
    """Write output i of all samples to ``output<i>.npy``, (count, ...) each. Returns how many.

    ``infer`` gives the outputs of one sample. ``tell`` gets how far it is, such as "50/200".
    ``bind`` has a process end together with the one whose number it is given.
    """
    tell(f"0/{count}")
    files: list[Any] = []

    def run(indices: range, tell: Callable[[str], None] = lambda done: None) -> None:
        for done, index in enumerate(indices, 1):
            outputs = infer(index)
            files.extend(
                _output_file(n, count, output) for n, output in enumerate(outputs) if not index
            )
            for file, output in zip(files, outputs):  # noqa: B905 (Python 3.8 has no strict)
                file[index] = output.reshape(file.shape[1:])
            if done % _PROGRESS_STEP == 0:
                tell(f"{min(done * processes, count)}/{count}")

    run(range(1))  # which makes the files that all write to
    processes = max(1, min(processes, count // _LEAST))
    parts = [range(number, count, processes) for number in range(1, processes + 1)]
    forks = [(_fork(run, part, bind), part) for part in parts[1:]]
    run(parts[0], tell)
    for process, part in forks:
        if os.waitpid(process, 0)[1]:
            run(part)  # once more here, where it can be told how it fails
    for file in files:
        file.flush()
    return len(files)


def _fork(run: Callable[[range], None], part: range, bind: Callable[[int], None]) -> int:
    """The number of a new process that runs the part, and ends with code 0 when it could."""
    sys.stdout.flush()
    ctypes.CDLL(None).fflush(None)  # or what is not written yet would be written twice
    parent = os.getpid()
    process = os.fork()
    if process:
        return process
    code = 1
    try:
        bind(parent)
        run(part)
        code = 0
    finally:
        os._exit(code)


def _output_file(number: int, count: int, output: Any) -> Any:
    """A new .npy on disk; the model's own batch axis of 1 becomes the axis of the samples."""
    import numpy as np

    rest = output.shape[1:] if output.shape[:1] == (1,) else output.shape
    open_npy: Any = np.lib.format.open_memmap
    return open_npy(f"output{number}.npy", "w+", np.float32, (count, *rest))
