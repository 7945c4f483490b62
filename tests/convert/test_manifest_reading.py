"""A manifest read back: old ones as they are, damaged ones told by file, key and value."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rockpress.convert.manifest import read_manifest
from rockpress.core.errors import RockpressError
from rockpress.core.results.model_figures import Memory

INPUT = {"name": "x", "dtype": "uint8", "layout": "NHWC", "shape": [1, 8, 8, 3]}
OUTPUT = {"name": "y", "shape": [1, 4], "dtype": "int8", "scale": 0.1, "zero_point": 3}
LAYER = {
    **{"index": 1, "op": "Conv", "dtype": "INT8", "runs_on": "NPU", "name": "Conv:c"},
    **{"input_shapes": [[1, 3, 8, 8]], "output_shapes": [[1, 4, 8, 8]]},
    **{"ddr_cycles": 1, "npu_cycles": 2, "total_cycles": 3},
}
MANIFEST: dict[str, Any] = {
    "schema": 1,
    "target": "rk3588",
    "toolkit": "2.5.0",
    "quantization": "qdq",
    "files": {"intended": "m.intended.onnx"},
    "digests": {"intended": "0" * 64},
    "inputs": [INPUT],
    "outputs": [OUTPUT],
}


def written(folder: Path, **more: Any) -> Path:
    path = folder / "m.rknn.json"
    path.write_text(json.dumps({**MANIFEST, **more}))
    return path


def test_a_manifest_of_the_first_rockpress_is_read(tmp_path: Path) -> None:
    manifest = read_manifest(written(tmp_path, layers=[LAYER], memory=None))
    assert (manifest.dtype, manifest.sparse, manifest.cycles) == ("w8a8", False, 0)
    assert (manifest.level, manifest.disabled) == (3, ())
    assert manifest.layers[0].sparse_ratio == 0.0  # which its table had not yet
    assert manifest.inputs[0].mean is None and manifest.calibration is None


def test_keys_of_a_newer_rockpress_are_passed_over(tmp_path: Path) -> None:
    memory = {"internal_bytes": 1, "weight_bytes": 2, "new": 3}
    manifest = read_manifest(written(tmp_path, new={}, inputs=[{**INPUT, "new": 1}], memory=memory))
    assert manifest.memory == Memory(1, 2)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ({"target": 3}, "target is 3, not text"),
        ({"cycles": "many"}, 'cycles is "many", not a whole number'),
        ({"cycles": -1}, "cycles is -1, not a number of cycles"),
        ({"sparse": 1}, "sparse is 1, not true or false"),
        (
            {"calibration": {"samples": 0, "seed": 0}},
            "calibration.samples is 0, not a number above 0",
        ),
        ({"reading": {"outputs": [1]}}, "reading.outputs is [1], not places of outputs"),
        ({"reading": {"task": "magic"}}, 'reading.task is "magic", not'),
        ({"files": ["x"]}, 'files is ["x"], not a table'),
        ({"files": {"model": 3}}, "files.model is 3, not text"),
        ({"inputs": 3}, "inputs is 3, not a list"),
        ({"inputs": [3]}, "inputs[0] is 3, not a table"),
        ({"inputs": [{"name": "x"}]}, "inputs[0] has no dtype"),
        ({"inputs": [{**INPUT, "shape": [1, "8"]}]}, 'inputs[0].shape[1] is "8", not a whole'),
        ({"inputs": [{**INPUT, "shape": [1, 0]}]}, "inputs[0].shape is [1, 0], not sizes above 0"),
        ({"inputs": [{**INPUT, "mean": [float("nan")]}]}, "mean[0] is NaN, not a finite number"),
        ({"inputs": [{**INPUT, "std": [1.0, -1.0]}]}, "std is [1.0, -1.0], not numbers above 0"),
        ({"outputs": [{**OUTPUT, "scale": -0.5}]}, "outputs[0].scale is -0.5, not a number above"),
        ({"outputs": [{**OUTPUT, "scale": float("inf")}]}, "scale is Infinity, not a finite"),
        ({"outputs": [{**OUTPUT, "zero_point": 0.5}]}, "zero_point is 0.5, not a whole number"),
        ({"layers": [{**LAYER, "total_cycles": -3}]}, "layers[0].total_cycles is -3, not a number"),
        ({"layers": [{**LAYER, "sparse_axis": "both"}]}, "is \"both\", not 'output' or 'input'"),
        ({"memory": {"weight_bytes": 1}}, "memory has no internal_bytes"),
        ({"latency": {"kind": "npu-estimate"}}, "latency has no ms"),
    ],
)
def test_damage_is_told_by_key_and_value(
    damage: dict[str, Any], message: str, tmp_path: Path
) -> None:
    path = written(tmp_path, **damage)
    with pytest.raises(RockpressError) as caught:
        read_manifest(path)
    told = str(caught.value)
    assert told.startswith(f"{path}: not a manifest: ") and message in told
    assert "\n" not in told and caught.value.hint.startswith("run the conversion again")
    assert "Input should" not in told and "validation" not in told


def test_what_it_lacks_is_told(tmp_path: Path) -> None:
    path = tmp_path / "m.rknn.json"
    path.write_text(json.dumps({key: MANIFEST[key] for key in MANIFEST if key != "outputs"}))
    with pytest.raises(RockpressError, match="not a manifest: it has no outputs"):
        read_manifest(path)
    path.write_text("[" * 100_000)
    with pytest.raises(RockpressError, match="not a manifest"):
        read_manifest(path)
