"""What is checked before the toolkit is started, and the manifest that is written after it."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from rockpress.convert.chips.compiler_log import Layer
from rockpress.convert.convert import Conversion, convert
from rockpress.convert.handover import inputs_of, write_dataset, write_samples
from rockpress.convert.lowering.scale_probe import one_convolution
from rockpress.convert.manifest import (
    manifest_of,
    manifest_path,
    read_manifest,
    verify_files,
    write_manifest,
)
from rockpress.convert.request import ConversionRequest
from rockpress.convert.toolkit.environment import toolkit_version
from rockpress.convert.toolkit.environment_facts import environment_facts
from rockpress.core.errors import OptionError, RockpressError, SamplesError
from rockpress.core.results.layer_rows import Feed, FeedInput, FeedOutput
from rockpress.core.results.model_figures import Memory

PIXELS = np.arange(32 * 32 * 3, dtype=np.uint8).reshape(1, 32, 32, 3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"quantization": "best"}, "unknown quantization 'best'"),
        ({"quantization": "qdq"}, "no QuantizeLinear"),
        ({"quantization": "normal", "dtype": "w4a16"}, "rk3588 has no w4a16"),
        ({"quantization": "normal"}, "normal needs calibration samples"),
        ({"target": "rv1106"}, "rv1106 has no float16"),
        (
            {"target": "rk3576", "quantization": "gdq", "dtype": "w8a8"},
            "gdq cannot make w8a8",
        ),
        ({"quantization": "gdq"}, "rk3588 has no w4a16"),
        ({"mean": (1.0, 2.0)}, "mean has 2 values, but input 'x' has 3 channels"),
        ({"std": {"y": (1.0,)}}, "the std is for 'y', which is no input"),
    ],
)
def test_options_that_do_not_fit(
    options: dict[str, Any], message: str, small_cnn: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out" / "model.rknn"
    target = options.pop("target", "rk3588")
    with pytest.raises(OptionError, match=message):
        convert(ConversionRequest(small_cnn, output, target, **options))
    assert not output.parent.exists()


def test_a_quantized_model_is_not_quantized_again(tmp_path: Path) -> None:
    onnx.save(one_convolution(), tmp_path / "qdq.onnx")
    with pytest.raises(OptionError, match=r"quantized already \(QDQ\)"):
        convert(ConversionRequest(tmp_path / "qdq.onnx", None, "rk3588", quantization="normal"))


def test_mean_of_many_channels_must_be_one(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="above 4 the runtime takes the first mean"):
        inputs_of(one_convolution(), tuple(range(8)), None)
    (one,) = inputs_of(one_convolution(), None, (255.0,))
    assert (one.mean, one.std) == ((0.0,) * 8, (255.0,) * 8)


@pytest.mark.parametrize(
    ("sample", "message"),
    [
        ({"y": PIXELS}, "sample 1 has no value for the input 'x'"),
        ({"x": PIXELS[:, :16]}, r"sample 1 has the shape \(1, 16, 32, 3\) for 'x'"),
        ({"x": PIXELS.astype(np.float32)}, "float32 values for 'x', which takes uint8"),
    ],
)
def test_samples_that_do_not_fit(
    sample: Mapping[str, Any], message: str, small_cnn: Path, tmp_path: Path
) -> None:
    inputs = inputs_of(onnx.load(small_cnn), (0.0,), None)
    with pytest.raises(SamplesError, match=message):
        write_samples([{"x": PIXELS}, sample], inputs, tmp_path)


def test_samples_on_disk(small_cnn: Path, tmp_path: Path) -> None:
    inputs = inputs_of(onnx.load(small_cnn), (0.0,), None)
    stream = ({"x": PIXELS + np.uint8(shift)} for shift in range(3))
    assert write_samples(stream, inputs, tmp_path) == 3
    raw = np.fromfile(tmp_path / "input0.raw", np.uint8).reshape(3, 32, 32, 3)
    np.testing.assert_array_equal(raw[2], PIXELS[0] + np.uint8(2))
    assert write_dataset([{"x": PIXELS}], inputs, tmp_path) == 1
    assert (tmp_path / "dataset.txt").read_text() == "sample0_0.npy\n"
    np.testing.assert_array_equal(np.load(tmp_path / "sample0_0.npy"), PIXELS.transpose(0, 3, 1, 2))


def test_environment_names_what_to_type() -> None:
    facts = {fact.name: fact for fact in environment_facts()}
    assert facts["interpreter"].found.startswith(f"Python {sys.version_info[0]}.")
    assert facts["rknn-toolkit2"].found == (toolkit_version() or "not installed")
    for fact in facts.values():
        assert fact.ok == (not fact.mend)
    (broken,) = environment_facts(Path("/no/such/python"))
    assert not broken.ok and "does not run" in broken.found
    assert toolkit_version(Path("/no/such/python")) is None
    assert toolkit_version(Path(sys.executable)) == toolkit_version()


@pytest.fixture
def conversion() -> Conversion:
    row = Layer(1, "Conv", "INT8", "NPU", ((1, 3, 8, 8),), ((1, 4, 8, 8),), 1, 2, 2, "Conv:c")
    return Conversion(
        path=None,
        bytes=10,
        target="rk3588",
        toolkit="2.5.0",
        quantization="qdq",
        layers=(row,),
        memory=Memory(100, 200),
        cycles=2,
        latency=None,
        outputs=None,
        warnings=(),
        seconds=1.0,
    )


@pytest.fixture
def folder(conversion: Conversion, tmp_path: Path) -> Path:
    """A finished conversion's folder: the intended model and the manifest."""
    intended = tmp_path / "sub" / "m.intended.onnx"
    intended.parent.mkdir()
    intended.write_bytes(b"intended")
    manifest = manifest_of(
        conversion,
        tmp_path,
        files={"intended": intended},
        digests={"samples": "ab12"},
        feed=Feed(
            (FeedInput("x", "uint8", "NHWC", (1, 8, 8, 3), "rgb", (0.0,) * 3, (255.0,) * 3),),
            (FeedOutput("y", (1, 4, 8, 8), "int8", 0.1, 3),),
            ("cat", "dog"),
        ),
    )
    write_manifest(manifest, tmp_path / "m.rknn.json")
    return tmp_path


def test_manifest_round_trip(folder: Path, conversion: Conversion) -> None:
    path = manifest_path(folder / "m.rknn")
    manifest = read_manifest(path)
    assert manifest.files == {"intended": "sub/m.intended.onnx"}
    assert manifest.inputs[0].mean == (0.0, 0.0, 0.0)
    assert manifest.outputs[0].zero_point == 3
    assert manifest.classes == ("cat", "dog")
    assert manifest.layers[0].name == "Conv:c"
    assert manifest.memory == Memory(100, 200)
    assert verify_files(manifest, folder) == {"intended": folder / "sub" / "m.intended.onnx"}
    assert str(folder) not in path.read_text()
    write_manifest(replace(manifest), folder / "again.json")
    assert (folder / "again.json").read_text() == path.read_text()


def test_a_file_that_changed_or_went(folder: Path) -> None:
    manifest = read_manifest(folder / "m.rknn.json")
    intended = folder / "sub" / "m.intended.onnx"
    intended.write_bytes(b"something else")
    with pytest.raises(RockpressError, match=r"m\.intended\.onnx: the intended file has changed"):
        verify_files(manifest, folder)
    intended.unlink()
    with pytest.raises(RockpressError, match=r"the intended file of the \.rknn is missing"):
        verify_files(manifest, folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema": 2}, "has schema 2"),
        ({"schema": None}, "names no schema"),
        ({"files": {"intended": "../secret.onnx"}}, "a file elsewhere"),
        ({"files": {"intended": "/etc/passwd"}}, "a file elsewhere"),
        ({"files": ["x"]}, "not a manifest"),
        ({"inputs": [{"nonsense": 1}]}, "not a manifest"),
    ],
)
def test_a_broken_manifest(change: dict[str, Any], message: str, folder: Path) -> None:
    path = folder / "m.rknn.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(RockpressError, match=message):
        read_manifest(path)


def test_no_manifest_at_all(folder: Path) -> None:
    with pytest.raises(RockpressError, match="the manifest is missing"):
        read_manifest(folder / "absent.json")
    (folder / "text.json").write_text("[1")
    with pytest.raises(RockpressError, match="not a manifest"):
        read_manifest(folder / "text.json")


def test_a_file_outside_the_folder(conversion: Conversion, tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "model.onnx").write_bytes(b"model")
    files = {"model": tmp_path / "model.onnx"}
    with pytest.raises(RockpressError, match="is outside"):
        manifest_of(conversion, tmp_path / "here", files=files, digests={}, feed=Feed((), ()))
