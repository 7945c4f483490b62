"""The toolkit's own quantizers, in a process of their own: ``python toolkit_child.py JOB.json``.

What it took is noted before the simulation, which needs the same process. ``result.json`` holds
that and how far it came; ``model.rknn`` and ``output0.npy`` are what it made.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parents[2]))

from benchmarks.conversions import plain


def main() -> None:
    """Do the job, whatever becomes of it."""
    job = json.loads(Path(sys.argv[1]).read_text())
    result: dict[str, Any] = {"stage": "import", "error": ""}
    try:
        plain._stand_in(Path(job["child"]))
        _convert(job, result)
    except (Exception, SystemExit) as error:  # whatever it raises is what is measured
        result["error"] = f"{type(error).__name__}: {error}"[-2000:]
    Path("result.json").write_text(json.dumps(result))
    sys.stdout.flush()
    os._exit(0)


def _convert(job: dict[str, Any], result: dict[str, Any]) -> None:
    from rknn.api import RKNN

    rknn = RKNN(verbose=True)  # for the compiler's table of layers
    options = dict(pair.split("=", 1) for pair in job["arguments"])
    plain._stage(result, "config", rknn.config(target_platform=job["target"], **options))
    plain._stage(result, "load", rknn.load_onnx(model=job["model"]))
    dataset = job["dataset"] if options else None
    code = rknn.build(do_quantization=dataset is not None, dataset=dataset)
    plain._stage(result, "build", code)
    plain._stage(result, "export", rknn.export_rknn("model.rknn"))
    result["cost"] = _cost(job["started"])
    result["stage"] = "simulate"
    plain._simulate(rknn, job)
    result["stage"] = "done"


def _cost(started: float) -> dict[str, float]:
    own, others = (
        resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    return {
        "seconds": time.time() - started,
        "cpu_seconds": sum(usage.ru_utime + usage.ru_stime for usage in (own, others)),
        "peak_mb": max(own.ru_maxrss, others.ru_maxrss) * 1024 / 1e6,
    }


if __name__ == "__main__":
    main()
