"""convert --plan and --scheme: a plan carried either way, and a check that builds it again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx
import pytest

from graphs import model_of, random_feeds, random_weights
from rockpress.convert.manifest import manifest_path, read_manifest
from rockpress.convert.toolkit.environment import toolkit_version
from rockpress.core.diagnostics import option
from rockpress.core.errors import ModelError, OptionError
from rockpress.core.graphs.model import is_qdq, load_model
from rockpress.pipeline.check import check
from rockpress.pipeline.convert_file import convert_file
from rockpress.pipeline.inspection import inspect_rknn
from rockpress.pipeline.quantize_file import quantize_file
from rockpress.pipeline.recipes.recipe import Recipe, make_recipe
from rockpress.pipeline.tasks.user_plan import apply_plan
from rockpress.quantize.quantize import quantize
from samples import save_feeds

pytestmark = [
    pytest.mark.toolkit,
    pytest.mark.skipif(toolkit_version() is None, reason="needs rknn-toolkit2"),
]


@pytest.fixture
def samples(tmp_path: Path) -> Path:
    return save_feeds(tmp_path / "samples.npz", random_feeds({"x": (1, 3, 32, 32)}, 8))


@pytest.fixture
def recipe(small_cnn: Path, samples: Path) -> Recipe:
    return make_recipe(model=small_cnn, calib=samples)


@pytest.fixture
def plan(recipe: Recipe, tmp_path: Path) -> Path:
    return quantize_file(recipe, tmp_path / "made" / "q.onnx").result.plan_path


@pytest.mark.parametrize(("how", "files"), [("auto", {"intended", "plan"}), ("hybrid", {"plan"})])
def test_a_plan_is_carried_and_checked_again(
    how: str, files: set[str], recipe: Recipe, plan: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out" / "a.rknn"
    done = convert_file(recipe.with_options(route=how, plan=plan), output)
    assert done.quantization == ("qdq" if how == "auto" else "hybrid")
    manifest = read_manifest(manifest_path(output))
    assert files <= set(manifest.files)
    assert manifest.level == done.level == 3
    assert {one.dtype for one in manifest.outputs} == {"int8"}
    report = check(recipe, output)
    (target,) = report.targets
    assert target.retention.sqnr_db is not None and target.retention.sqnr_db > 25
    built = target.model("rknn")
    assert built is not None and built.cycles == done.cycles


def test_files_that_are_read_are_not_replaced(recipe: Recipe, plan: Path, tmp_path: Path) -> None:
    """The plan may lie where a copy of it goes, the model not where its quantized form goes."""
    commented = f"# what was tried\n{plan.read_text()}"
    plan.write_text(commented)
    output = plan.with_name("q.rknn")
    convert_file(recipe.with_options(plan=plan), output)
    assert (plan.read_text(), output.is_file()) == (commented, True)
    model = recipe.model.rename(tmp_path / "b.intended.onnx")
    content = model.read_bytes()
    with pytest.raises(OptionError, match="would replace the model that is read"):
        convert_file(recipe.with_options(model=model, plan=plan), tmp_path / "b.rknn")
    assert (model.read_bytes(), (tmp_path / "b.rknn").exists()) == (content, False)


def test_a_changed_plan_is_noticed(recipe: Recipe, plan: Path, tmp_path: Path) -> None:
    output = tmp_path / "out" / "a.rknn"
    convert_file(recipe.with_options(route="hybrid", plan=plan), output)
    kept = output.with_name("a.plan.toml")
    kept.write_text(kept.read_text().replace("mse", "by hand"))
    with pytest.raises(Exception, match=r"a\.plan\.toml: the plan file has changed"):
        check(recipe, output)


def test_a_rknn_that_is_not_the_manifests(recipe: Recipe, tmp_path: Path) -> None:
    """Cut short, or another build of the same model for the same chip."""
    output, other = tmp_path / "out" / "a.rknn", tmp_path / "out" / "b.rknn"
    convert_file(recipe, output)
    convert_file(recipe.with_options(toolkit_quantizer="normal"), other)
    assert inspect_rknn(output).disagreements == ()
    output.write_bytes(other.read_bytes())
    assert "sha256" in inspect_rknn(output).disagreements[0]
    with pytest.raises(ModelError, match=r"a\.rknn is not the file that a\.rknn\.json was written"):
        check(recipe, output)
    output.write_bytes(other.read_bytes()[:-100])
    with pytest.raises(ModelError, match="cut short"):
        check(recipe, output)


@pytest.mark.parametrize(
    ("build", "message", "hint"),
    [
        ({}, "rk3588 has no w4a16", "it has: w8a8, float16; or choose with --target one of those"),
        (
            {"target": "rk3576", "route": "hybrid"},
            "--route hybrid cannot carry a plan in w4a16",
            "",
        ),
        ({"target": "rk3576", "route": "qdq"}, "--route qdq cannot carry a plan in w4a16", ""),
    ],
)
def test_a_plan_in_a_format_that_cannot_be_built(
    build: dict[str, Any], message: str, hint: str, recipe: Recipe, tmp_path: Path
) -> None:
    four_bits = recipe.with_options(scheme="w4a16", method="min-max", target="rk3576")
    plan = quantize_file(four_bits, tmp_path / "made" / "q.onnx").result.plan_path
    with pytest.raises(OptionError, match=message) as told:
        convert_file(recipe.with_options(**build, plan=plan), tmp_path / "out" / "a.rknn")
    assert hint in told.value.hint
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("scheme", ["float16", "w3a3"])
def test_a_plan_in_a_format_that_nothing_is_quantized_to(
    scheme: str, recipe: Recipe, plan: Path, tmp_path: Path
) -> None:
    text = plan.read_text().replace('"w8a8"', f'"{scheme}"')
    plan.write_text(text.replace('"int8"', '"int3"') if scheme == "w3a3" else text)
    with pytest.raises(ModelError, match=f"quantizes nothing to the plan's scheme '{scheme}'"):
        convert_file(recipe.with_options(plan=plan), tmp_path / "out" / "a.rknn")
    assert not (tmp_path / "out").exists()


def test_a_quantized_model_takes_no_plan(recipe: Recipe, plan: Path, tmp_path: Path) -> None:
    quantized = recipe.with_options(model=plan.with_name("q.onnx"), calib=None)
    with pytest.raises(OptionError, match=r"quantized already \(QDQ\), so it takes no --plan"):
        convert_file(quantized.with_options(plan=plan), tmp_path / "out" / "a.rknn")


def test_quantize_tells_of_outputs_that_int8_cannot_hold(tmp_path: Path) -> None:
    """Boxes of 0..640 and scores of 0..1 in one output, on a chip that has nothing but int8."""
    model = model_of(
        """(float[1,4,8,8] x) => (float[1,8,8,8] y) {
            a = Conv (x, w)
            boxes = Mul (a, large)
            b = Conv (x, v)
            scores = Sigmoid (b)
            y = Concat <axis = 1> (boxes, scores) }""",
        {**random_weights({"w": (4, 4, 1, 1), "v": (4, 4, 1, 1)}, scale=1), "large": [640.0]},
        prepared=False,
    )
    onnx.save(model, tmp_path / "m.onnx")
    save_feeds(tmp_path / "c.npz", random_feeds(model, 8, seed=1))
    recipe = make_recipe(model=tmp_path / "m.onnx", calib=tmp_path / "c.npz")
    for target, code in (("rv1103b", "output-range-join"), ("rk3588", "output-parts-apart")):
        found = quantize_file(recipe.with_options(target=target), tmp_path / "q.onnx")
        codes = [one.code for one in found.warnings]
        assert [each for each in codes if not each.startswith("retention-")] == [code]
        cut = ["boxes", "scores"] if target == "rv1103b" else ["boxes", "b"]
        assert option("outputs", cut) in found.warnings[codes.index(code)].hint
        there = quantize_file(recipe.with_options(target=target, outputs=cut), tmp_path / "c.onnx")
        assert there.warnings == ()


def test_a_plan_of_another_model(plan: Path, samples: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.onnx"
    text = "(float[1,3,32,32] x) => (float[1,3,32,32] y) { y = Relu (x) }"
    onnx.save(model_of(text, prepared=False), other)
    recipe = make_recipe(model=other, calib=samples)
    with pytest.raises(ModelError, match="the plan is for another model: this one has no tensor"):
        convert_file(recipe.with_options(plan=plan), tmp_path / "out" / "a.rknn")
    assert not (tmp_path / "out").exists()


OWN = ("p = Conv (x, w1) y = Conv (p, w2)", {"w1": (8, 3, 1, 1), "w2": (8, 8, 1, 1)})


@pytest.mark.parametrize("scheme", ["w8a8", "w8a16", "w4a16"])
@pytest.mark.parametrize(
    ("nodes", "weights", "message"),
    [
        (
            "p = Conv (x, v1) y = Conv (p, v2)",
            {"v1": (8, 3, 1, 1), "v2": (8, 8, 1, 1)},
            "no weight",
        ),
        (
            "p = Conv (x, w1) y = Conv (p, w2)",
            {"w1": (9, 3, 1, 1), "w2": (8, 9, 1, 1)},
            "no 8 channels",
        ),
    ],
)
def test_in_no_format_a_plan_serves_another_model(
    nodes: str, weights: dict[str, Any], message: str, scheme: str, samples: Path, tmp_path: Path
) -> None:
    """Which has tensors of the same names, but other weights."""
    head = "(float[1,3,32,32] x) => (float[1,8,32,32] y)"
    onnx.save(model_of(f"{head} {{ {OWN[0]} }}", OWN[1]), tmp_path / "own.onnx")
    onnx.save(model_of(f"{head} {{ {nodes} }}", weights), tmp_path / "other.onnx")
    feeds = random_feeds({"x": (1, 3, 32, 32)}, 4)
    path = tmp_path / "p.toml"
    quantize(load_model(tmp_path / "own.onnx"), tmp_path / "q.onnx", path, feeds, scheme=scheme)
    stem = tmp_path / "out"
    for model in (load_model(tmp_path / "own.onnx"), load_model(tmp_path / "q.onnx")):
        if not is_qdq(model):
            apply_plan(model, path, stem)
    with pytest.raises(ModelError, match=f"the plan is for another model: this one has {message}"):
        apply_plan(load_model(tmp_path / "other.onnx"), path, stem)


def test_a_plan_of_a_part_of_a_model(tmp_path: Path) -> None:
    """The toolkit would round to 4 bits what the plan says nothing about."""
    head = "(float[1,3,32,32] x) => (float[1,8,32,32] y)"
    part = model_of(f"{head} {{ y = Conv (x, w1) }}", {"w1": (8, 3, 1, 1)})
    whole = model_of(f"{head} {{ {OWN[0]} }}", OWN[1])
    feeds, path = random_feeds({"x": (1, 3, 32, 32)}, 4), tmp_path / "p.toml"
    quantize(part, tmp_path / "q.onnx", path, feeds, scheme="w4a16")
    with pytest.raises(ModelError, match="this one has a weight 'w2' too"):
        apply_plan(whole, path, tmp_path / "out")


@pytest.mark.parametrize(
    ("build", "message"),
    [
        ({"toolkit_quantizer": "normal", "plan": True}, "-quantizer normal takes no --plan"),
        ({"scheme": "float16", "plan": True}, "--scheme float16 takes no --plan"),
        ({"route": "hybrid"}, "--route hybrid needs the ranges of a plan"),
        ({"scheme": "w8a16"}, "--scheme w8a16 is for the toolkit's own quantizers"),
        ({"toolkit_quantizer": "normal", "scheme": "w4a16"}, "rk3588 has no w4a16"),
        ({"toolkit_quantizer": "gdq"}, "rk3588 has no w4a16"),
        ({"toolkit_quantizer": "mmse", "route": "hybrid"}, "hybrid do not go together"),
    ],
)
def test_options_that_contradict_each_other_are_refused(
    build: dict[str, Any], message: str, recipe: Recipe, plan: Path, tmp_path: Path
) -> None:
    given = {**build, "plan": plan if build.get("plan") else None}
    with pytest.raises(OptionError, match=message):
        convert_file(recipe.with_options(**given), tmp_path / "out" / "a.rknn")
    assert not (tmp_path / "out").exists()


def test_a_build_in_another_type_of_the_chip(
    small_cnn: Path, samples: Path, tmp_path: Path
) -> None:
    recipe = make_recipe(model=small_cnn, calib=samples, target=("rk3576",))
    output = tmp_path / "a.rknn"
    done = convert_file(recipe.with_options(toolkit_quantizer="normal", scheme="w4a16"), output)
    assert read_manifest(manifest_path(output)).dtype == "w4a16"
    assert {one.dtype for one in done.layers if one.total_cycles} == {"FLOAT16"}
    (target,) = check(recipe, output).targets
    built = target.model("rknn")
    assert built is not None and built.cycles == done.cycles
