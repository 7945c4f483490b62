"""``--measured``: times that a board took set the scale of the estimates."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import onnx
import pytest

from commands import Run
from graphs import model_of
from rockpress.convert.chips.compiler_log import Layer
from rockpress.convert.chips.targets import find_target
from rockpress.convert.latency.estimate import estimate
from rockpress.convert.manifest import Manifest, manifest_path, write_manifest
from rockpress.core.errors import ModelError, OptionError, ReportError, RockpressError
from rockpress.core.files import sha256_of
from rockpress.core.results.model_figures import LatencyScale
from rockpress.pipeline.measured_files import measured_files
from rockpress.pipeline.measured_scales import measured_models, measured_scales
from rockpress.pipeline.recipes.recipe import make_recipe
from rockpress.pipeline.recipes.recipe_file import read_jobs
from rockpress.pipeline.run_key import RunKey

X = ((1, 64, 28, 28),)
TABLE = (Layer(1, "ConvRelu", "INT8", "NPU", X, X, 90_000, 4_000_000, 4_000_000, "Conv:a"),)


def ms_of(chip: str) -> float:
    latency = estimate(TABLE, find_target(chip))
    assert latency is not None and latency.ms is not None
    return latency.ms


def rknn(folder: Path, name: str = "old.rknn", chip: str = "rk3588") -> Path:
    """Write a file with the manifest that a build of one layer would have."""
    path = folder / name
    path.write_bytes(name.encode())
    manifest = Manifest(
        target=chip,
        toolkit="2.5.0",
        quantization="qdq",
        layers=TABLE,
        files={},
        digests={"rknn": sha256_of(path)},
        inputs=(),
        outputs=(),
    )
    write_manifest(manifest, manifest_path(path))
    return path


def record(folder: Path, *runs: dict[str, object]) -> Path:
    path = folder / "runs.json"
    known = {"chip": "rk3588", "measured": "npu", "ms": [1.0]}
    path.write_text(json.dumps({"schema": 1, "runs": [{**known, **run} for run in runs]}))
    return path


def scales(*words: object, chips: tuple[str, ...] = ("rk3588",)) -> Mapping[str, LatencyScale]:
    recipe = make_recipe("m.onnx", measured=list(map(str, words)), target=list(chips))
    return measured_scales(recipe, [find_target(chip) for chip in chips])


def test_a_built_model_gives_the_scale_of_its_chip(tmp_path: Path) -> None:
    old = rknn(tmp_path)
    chips = ("rk3588", "rk3576")
    assert scales(chips=chips) == {}
    scale = scales(f"{old}={1.25 * ms_of('rk3588')}", chips=chips)
    assert scale == {"rk3588": LatencyScale(pytest.approx(1.25), 1, 1.0)}  # type: ignore[arg-type]


def test_the_file_that_was_measured_has_that_time_and_no_band(tmp_path: Path) -> None:
    old, new = rknn(tmp_path), rknn(tmp_path, "new.rknn")
    (tmp_path / "link.rknn").symlink_to(old)
    chip = find_target("rk3588")
    path = record(tmp_path, {"model": {"name": "b", "file": new.name}, "ms": [8.0]})
    for word, file, ms in ((f"{old}=3", tmp_path / "link.rknn", 3.0), (path, new, 8.0)):
        timed = measured_models(make_recipe("m.onnx", measured=[str(word)]), [chip])
        latency = timed.latency_of(file, estimate(TABLE, chip))
        assert latency is not None
        assert (latency.kind, latency.ms, latency.low, latency.high) == ("given", ms, None, None)
        other = new if file != new else old
        assert timed.latency_of(other, estimate(TABLE, chip)) == estimate(TABLE, chip)


def test_models_of_one_name_in_two_folders_are_two(tmp_path: Path) -> None:
    for name in ("v1", "v2"):
        (tmp_path / name).mkdir()
    first, second = rknn(tmp_path / "v1"), rknn(tmp_path / "v2")
    ms = ms_of("rk3588")
    (scale,) = scales(f"{first}={ms}", f"{second}={4 * ms}").values()
    assert scale.models == 2
    assert scale.factor == pytest.approx(2)
    (scale,) = scales(f"{first}={ms}", f"{first}={4 * ms}").values()
    assert scale.models == 1
    assert scale.spread == pytest.approx(2)


def test_a_record_has_the_layers_in_it_or_in_a_build_beside_it(tmp_path: Path) -> None:
    built, other = rknn(tmp_path), rknn(tmp_path, "b.rknn", "rk3576")
    ms = ms_of("rk3588")
    path = record(
        tmp_path,
        {"model": {"name": "a"}, "ms": [2 * ms], "table": [asdict(row) for row in TABLE]},
        {"model": {"name": "b", "file": built.name, "digest": sha256_of(built)}, "ms": [8 * ms]},
        {"model": {"name": "c", "file": other.name}, "chip": "RK3576"},  # of another chip
        {"model": {"name": "a"}, "contexts": 3, "ms": [9 * ms]},  # not alone
        {"model": {"name": "a"}, "measured": "application", "ms": [9 * ms]},
    )
    (scale,) = scales(path).values()
    assert scale.factor == pytest.approx(4)
    assert scale.models == 2
    # another time for one of its models, by its name
    (scale,) = scales(path, f"a={8 * ms}").values()
    assert scale.factor == pytest.approx(8)
    assert scale.spread == pytest.approx(1)
    files = measured_files(make_recipe("m.onnx", measured=[str(path)]))
    assert {file.name for file in files} == (
        {"runs.json", "old.rknn", "old.rknn.json", "b.rknn", "b.rknn.json"}
    )


def test_what_cannot_be_told_is_refused(tmp_path: Path) -> None:
    old, model = rknn(tmp_path), tmp_path / "m.onnx"
    cases: list[tuple[list[object], tuple[str, ...], str]] = [
        ([f"{old}=3"], ("rk3576",), "is for rk3588, not for rk3576"),
        ([f"{tmp_path / 'gone.rknn'}=3"], ("rk3588",), "the file does not exist"),
        ([f"{'long' * 99}.rknn=3"], ("rk3588",), "the file does not exist"),
        ([f"{model}=3"], ("rk3588", "rk3576"), "does not say on which of rk3588, rk3576"),
        (["old=3"], ("rk3588",), "'old' is no .onnx, no .rknn, and no model of a record"),
        ([record(tmp_path, {"model": {"name": "a"}})], ("rk3562",), "has no run of the NPU alone"),
        ([record(tmp_path, {"model": {"name": "a"}})], ("rk3588",), "no layer table of 'a'"),
    ]
    for words, chips, text in cases:
        with pytest.raises(RockpressError) as caught:
            scales(*words, chips=chips)
        assert text in caught.value.message
        assert caught.value.hint


def test_what_a_record_cannot_have_in_it_is_of_one_kind(tmp_path: Path) -> None:
    old = rknn(tmp_path)
    named = {"name": "a", "file": old.name}
    runs: list[dict[str, object]] = [
        {"model": {"name": "a"}, "ms": [-1.0]},
        {"model": {"name": "a"}},  # no layers
        {"model": named, "chip": "rk3576"},
        {"model": {**named, "digest": "0" * 64}},
        {"model": {"name": "a", "file": "../old.rknn"}},
    ]
    for run in runs:
        with pytest.raises(ReportError):
            scales(record(tmp_path, run), chips=("rk3588", "rk3576"))


def open_model(folder: Path) -> Path:
    text = """(float[1,3,height,width] x) => (float[1,8,height,width] y) {
        [conv] y = Conv <pads = [1,1,1,1]> (x, w) }"""
    path = folder / "open.onnx"
    onnx.save(model_of(text, {"w": (8, 3, 3, 3)}, prepared=False), path)
    return path


def test_a_model_of_open_shapes_is_told_with_the_option(tmp_path: Path) -> None:
    word = f"{open_model(tmp_path)}=3"
    with pytest.raises(ModelError) as caught:
        scales(word)
    assert caught.value.message.startswith(f"--measured {word}: input 'x' ")
    assert caught.value.hint == "give it with fixed shapes, or the .rknn that ran"


@pytest.mark.toolkit
def test_the_model_of_the_command_is_timed_in_the_size_that_it_has(tmp_path: Path) -> None:
    model, chip = open_model(tmp_path), find_target("rk3588")
    recipe = make_recipe(model, measured=[f"{model}=3"], size=[32, 32], scheme="float16")
    assert measured_scales(recipe, [chip])["rk3588"].models == 1


@pytest.mark.parametrize("file", ["../old.rknn", "/old.rknn"])
def test_a_record_leads_to_no_file_elsewhere(tmp_path: Path, file: str) -> None:
    path = record(tmp_path, {"model": {"name": "a", "file": file}})
    with pytest.raises(RockpressError, match="names a file elsewhere"):
        scales(path)


def test_a_build_that_is_not_the_one_that_ran_is_refused(tmp_path: Path) -> None:
    old = rknn(tmp_path)
    path = record(tmp_path, {"model": {"name": "a", "file": old.name, "digest": "0" * 64}})
    with pytest.raises(RockpressError, match="not the file that was timed"):
        scales(path)
    old.write_bytes(b"another")
    with pytest.raises(RockpressError, match="was written for"):
        scales(f"{old}=3")


@pytest.mark.parametrize(
    "word", ["old.rknn", "old.rknn=", "=3", "old.rknn=0", "old.rknn=nan", "a.rknn=5e-324"]
)
def test_words_that_are_no_time(word: str, rockpress: Run) -> None:
    with pytest.raises(OptionError):
        make_recipe("m.onnx", measured=[word])
    code, _, err = rockpress("inspect", "m.onnx", "--target", "rk3588", "--measured", word)
    assert code == 2
    assert "is not MODEL=MS with a time above 0" in err


def test_paths_of_a_recipe_start_at_its_folder(tmp_path: Path) -> None:
    file = tmp_path / "rockpress.toml"
    file.write_text('model = "m.onnx"\nmeasured = ["old.rknn=12.5", "runs.json"]\n')
    (job,) = read_jobs(file)
    assert job.recipe.latency.measured == (f"{tmp_path}/old.rknn=12.5", f"{tmp_path}/runs.json")


def test_the_key_of_a_run_holds_what_is_in_the_files(small_cnn: Path, tmp_path: Path) -> None:
    path = record(tmp_path, {"model": {"name": "a"}})
    key = RunKey(make_recipe(small_cnn, measured=[str(path)]), "2.5.0")
    before = key.key()
    record(tmp_path, {"model": {"name": "a"}, "ms": [1.5]})
    assert key.key() != before
