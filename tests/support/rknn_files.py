"""Files in the layout of a ``.rknn``, that no toolkit made, and manifests for them."""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rockpress.convert.chips.compiler_log import Layer
from rockpress.convert.manifest import Manifest, manifest_path, write_manifest
from rockpress.convert.toolkit.rknn_file import read_rknn
from rockpress.core.files import sha256_of
from rockpress.core.results.layer_rows import FeedInput, FeedOutput

DOCUMENT: dict[str, Any] = {
    "target_platform": ["rk3588"],
    "version": "2.5.0",
    "graph": [
        {"left": "input", "left_tensor_id": 1, "right_tensor_id": 0},
        {"left": "input", "left_tensor_id": 0, "right_tensor_id": 2},
        {"left": "output", "left_tensor_id": 0, "right_tensor_id": 1},
    ],
    "norm_tensor": [
        {"tensor_id": 0, "url": "b", "size": [1, 2], "dtype": {"qnt_type": "int8"}},
        {"tensor_id": 1, "url": "y", "size": [1, 4, 8, 8], "dtype": {"qnt_type": ""}},
        {"tensor_id": 2, "url": "a", "size": [1, 3, 8, 8], "dtype": {"qnt_type": "int8"}},
    ],
}
DESCRIBED: dict[str, Any] = {
    "attrs": {
        "a": {"layout": "nchw", "dtype": "float32", "mean": [1, 2, 3.5], "std": [1]},
        "b": {"layout": "nchw", "dtype": "float32", "mean": [0], "std": [1]},
        "y": {"layout": "nchw", "dtype": "float32"},
    },
    "quant_tab": {
        "a": {"scale": [0.5], "zero_point": [-3]},
        "b": {"scale": [], "zero_point": []},
        "y": {"scale": [0.25], "zero_point": [7]},
    },
}


def rknn_bytes(document: Any = DOCUMENT, described: object = DESCRIBED) -> bytes:
    text = repr(described).encode()
    compiler = b"2.5.0(compiler version: 2.5.0 (abc@2026-01-02T03:04:05))\0"
    model = b"....RKNN" + compiler + struct.pack("<I", len(text)) + text + b"\0\0\0"
    tail = document if isinstance(document, bytes) else json.dumps(document).encode()
    header = b"RKNN\0\0\0\0" + struct.pack("<QQ", 6, len(model)) + bytes(40)
    return header + model + struct.pack("<Q", len(tail)) + tail


def rknn_with_manifest(path: Path, layers: Sequence[Layer]) -> Path:
    """Write a file and the manifest that a build of these layers would have."""
    path.write_bytes(rknn_bytes())
    facts = read_rknn(path)
    inputs = (FeedInput(tensor.name, "uint8", "NHWC", tensor.shape) for tensor in facts.inputs)
    outputs = (FeedOutput(tensor.name, tensor.shape, tensor.dtype) for tensor in facts.outputs)
    manifest = Manifest(
        target=facts.target,
        toolkit=facts.toolkit,
        quantization="qdq",
        layers=tuple(layers),
        files={},
        digests={"rknn": sha256_of(path)},
        inputs=tuple(inputs),
        outputs=tuple(outputs),
    )
    write_manifest(manifest, manifest_path(path))
    return path
