"""What a model was made from: noted in what commands write, and in manifests of conversions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import onnx
import pytest

from commands import Run
from graphs import model_of, random_feeds
from graphs import small_cnn as small_net
from rknn_files import rknn_with_manifest
from rockpress.convert.manifest import manifest_path
from rockpress.core.graphs.model import load_model, model_digest
from rockpress.core.graphs.origin import note_origin, noted_origin
from rockpress.pipeline.comparison import compare_files
from rockpress.pipeline.options.sample_options import ModelOptions
from rockpress.pipeline.prune_file import prune_file
from rockpress.pipeline.quantize_file import quantize_file
from rockpress.pipeline.recipes.recipe import make_recipe
from rockpress.pipeline.samples.ready_model import ready_model
from samples import save_feeds


@pytest.fixture
def samples(tmp_path: Path) -> Path:
    return save_feeds(tmp_path / "samples.npz", random_feeds({"x": (1, 3, 32, 32)}, 8))


@pytest.mark.parametrize("options", [{}, {"scheme": "w4a16", "target": "rk3576"}])
def test_what_is_written_names_its_original(
    options: dict[str, Any], small_cnn: Path, samples: Path, tmp_path: Path
) -> None:
    digest = model_digest(small_cnn)
    pruned, quantized = tmp_path / "p.onnx", tmp_path / "q.onnx"
    prune_file(make_recipe(model=small_cnn, calib=samples, prune="macs=-20%"), pruned)
    quantize_file(make_recipe(model=pruned, calib=samples, **options), quantized)
    for written in (pruned, quantized):
        ready = ready_model(written)
        assert noted_origin(onnx.load(written)) == noted_origin(ready.model) == digest
        assert ready.digests == {"source": model_digest(written), "origin": digest}
    assert ready_model(small_cnn).digests == {"source": digest, "origin": digest}
    assert noted_origin(load_model(small_cnn)) is None  # the user's own file stays as it was


def test_of_what_was_quantized_elsewhere_nothing_is_known(
    small_cnn: Path, samples: Path, tmp_path: Path
) -> None:
    for options in ({}, {"scheme": "w4a16", "target": "rk3576"}):
        written = tmp_path / "q.onnx"
        quantize_file(make_recipe(model=small_cnn, calib=samples, **options), written)
        model = onnx.load(written)
        others = [entry for entry in model.metadata_props if entry.key != "rockpress.origin"]
        del model.metadata_props[:]
        model.metadata_props.extend(others)
        onnx.save(model, written)
        assert ready_model(written).digests == {"source": model_digest(written)}


def test_a_note_is_a_digest_and_the_only_one() -> None:
    model = small_net()
    for value in ("", "x" * 64, "0" * 63, "../m.onnx"):
        note_origin(model, value)
        assert noted_origin(model) is None
    note_origin(model, "a" * 64)
    assert noted_origin(model) == "a" * 64
    assert len(model.metadata_props) == 1


def test_a_model_that_is_ended_earlier_keeps_its_origin(tmp_path: Path) -> None:
    model = model_of("(float[1,4] x) => (y) { a = Relu (x) y = Exp (a) }")
    note_origin(model, "a" * 64)
    onnx.save(model, tmp_path / "m.onnx")
    ended = ready_model(tmp_path / "m.onnx", ModelOptions(outputs=("a",)))
    assert ended.digests["origin"] == "a" * 64


def rknn(path: Path, **digests: str) -> Path:
    rknn_with_manifest(path, ())
    document = json.loads(manifest_path(path).read_text())
    document["digests"] |= digests
    manifest_path(path).write_text(json.dumps(document))
    return path


@pytest.mark.parametrize(
    ("other", "codes"),
    [
        ({"source": "2", "origin": "0"}, []),
        ({"source": "0"}, []),
        ({"source": "2", "origin": "1"}, ["compare-model"]),
        ({"source": "2"}, ["compare-origin"]),
        ({}, ["compare-origin"]),
    ],
)
def test_rknn_of_one_model_are_compared_as_such(
    other: dict[str, str], codes: list[str], tmp_path: Path, rockpress: Run
) -> None:
    files = rknn(tmp_path / "a.rknn", source="1", origin="0"), rknn(tmp_path / "b.rknn", **other)
    for pair in (files, files[::-1]):
        assert [warning.code for warning in compare_files(pair).warnings] == codes
    code, out, err = rockpress("compare", *files)
    assert code == 0, err
    assert ("of another model" in err) == bool(codes)
    assert ("made from one model" in out) == (not codes)
