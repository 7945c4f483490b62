"""The toolkit as its own examples call it, in a process of its own: ``python plain.py JOB.json``.

Runs in the environment of any toolkit version, so it imports the standard library, numpy and rknn
alone. The one help it gets is the stand-in for PyTorch that rockpress's own child has, so that an
environment without PyTorch does.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
import sys
from pathlib import Path
from typing import Any


def main() -> None:
    """Do the job; ``result.json`` says how far it came and holds the last message."""
    job = json.loads(Path(sys.argv[1]).read_text())
    result: dict[str, Any] = {"stage": "import", "error": ""}
    try:
        _stand_in(Path(job["child"]))
        result["toolkit"] = importlib.metadata.version("rknn-toolkit2")
        _convert(job, result)
    except (Exception, SystemExit) as error:  # whatever it raises is what is measured
        result["error"] = f"{type(error).__name__}: {error}"[-2000:]
    Path("result.json").write_text(json.dumps(result))
    sys.stdout.flush()
    os._exit(0)


def _stand_in(child: Path) -> None:
    spec = importlib.util.spec_from_file_location("rockpress_child", child)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module._stand_in_for_torch()


def _convert(job: dict[str, Any], result: dict[str, Any]) -> None:
    from rknn.api import RKNN

    rknn = RKNN(verbose=True)  # for the compiler's table of layers
    _stage(result, "config", rknn.config(target_platform=job["target"]))
    shapes = {"inputs": job["inputs"], "input_size_list": job["shapes"]} if job["dynamic"] else {}
    result["stage"] = "load"
    _stage(result, "load", rknn.load_onnx(model=job["model"], **shapes))
    result["stage"] = "build"
    dataset = job["dataset"]
    _stage(result, "build", rknn.build(do_quantization=dataset is not None, dataset=dataset))
    result["stage"] = "export"
    _stage(result, "export", rknn.export_rknn("model.rknn"))
    result["stage"] = "simulate"
    _simulate(rknn, job)
    result["stage"] = "done"


def _stage(result: dict[str, Any], name: str, code: int) -> None:
    result["stage"] = name
    if code != 0:
        raise RuntimeError(f"{name} returned {code}")


def _simulate(rknn: Any, job: dict[str, Any]) -> None:
    """Write outputs0.npy ...: one array (samples, elements) for each output."""
    import numpy as np

    samples = [np.load(file) for file in job["samples"]]
    if rknn.init_runtime() != 0:
        raise RuntimeError("init_runtime failed")
    rows: list[list[Any]] = []
    for index in range(len(samples[0])):
        feeds = [np.ascontiguousarray(values[index]) for values in samples]
        outputs = rknn.inference(inputs=feeds, data_format=["nchw"] * len(feeds))
        rows.append([np.asarray(output, np.float32).ravel() for output in outputs])
    for index, column in enumerate(zip(*rows)):  # noqa: B905 (Python 3.8 has no strict)
        np.save(f"output{index}.npy", np.stack(column))


if __name__ == "__main__":
    main()
