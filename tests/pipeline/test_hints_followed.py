"""Whoever does what a warning's hint says is rid of the warning."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import ModelProto, version_converter

from audits import model_from_x, only
from graphs import model_of
from rockpress.accuracy.compare import Comparison
from rockpress.accuracy.retention import Retention
from rockpress.calibration_data.bundled import MODEL, TEST, sample_path
from rockpress.calibration_data.preprocessing import Preprocessing
from rockpress.convert.audit.cpu_layers import cpu_warnings
from rockpress.convert.audit.model_audit import audit
from rockpress.convert.chips.compiler_log import Layer, parse_layers
from rockpress.convert.chips.targets import find_target
from rockpress.core.diagnostics import Diagnostic, mentioned, option
from rockpress.core.progress import SILENT
from rockpress.pipeline.check import check
from rockpress.pipeline.figures.result_warnings import look_warnings, result_warnings
from rockpress.pipeline.options.check_options import Gates
from rockpress.pipeline.quantize_file import quantize_file
from rockpress.pipeline.recipes.recipe import Recipe, make_recipe
from rockpress.pipeline.samples.audits import audit_target
from rockpress.pipeline.samples.preprocess_warnings import option_warnings
from rockpress.pipeline.samples.ready_model import ready_model
from rockpress.quantize.quantize import quantize

RK3588 = find_target("rk3588")
# of each code: the file of the test that follows its hint, or why nothing can be followed
TRIED = {
    **dict.fromkeys(
        (
            *("output-range-join", "fusion-sigmoid", "cpu-fallback-nms", "cpu-fallback-operator"),
            *("cpu-fallback-layer", "toolkit-operator", "toolkit-opset", "float16-overflow"),
            *("preprocess-channels", "preprocess-scale", "preprocess-mean-std", "mixed-budget"),
            *("retention-too-few-samples", "retention-low-similarity"),
        ),
        "test_hints_followed.py",
    ),
    **dict.fromkeys(
        ("preprocess-color", "preprocess-resize", "preprocess-layout", "preprocess-undecided"),
        "test_preprocess_audit.py",
    ),
    "toolkit-other-version": "test_check_rebuilds.py",
    "toolkit-output-dropped": "test_built_outputs.py",
    "toolkit-faster-build": "test_lossy_builds.py",
    "robustness-no-attack": "test_attacks.py",
    **dict.fromkeys(("result-slower", "result-larger"), "test_sabotage.py"),
}
NOTHING_TO_GIVE = {
    "other samples": (
        *("preprocess-chance", "preprocess-small-images", "preprocess-alpha", "preprocess-16-bit"),
        *("preprocess-exif", "calibration-overlap", "calibration-copies", "evaluation-copies"),
        *("evaluation-one-class", "calibration-labels", "robustness-lost"),
        *("calibration-not-finite", "calibration-outlier"),
        "pruning-few-samples",
    ),
    "another report to compare with": (
        *("baseline-model", "baseline-toolkit", "baseline-version", "baseline-samples"),
        *("baseline-target", "baseline-scale"),
        *("compare-model", "compare-target", "compare-samples", "compare-scale"),
        *("compare-toolkit", "compare-manifest", "compare-origin"),
    ),
    "another model, or budget": (
        *("weight-underflow", "weight-dequantized", "plan-weights", "pruning-budget"),
        *("pruning-no-faster", "model-types"),
    ),
    "it needs PyTorch, and leaving the option out is all": (
        *("pruning-distillation", "training-not-kept", "training-few-samples"),
    ),
    "another runtime, or toolkit": (
        *("board-differs", "board-layer", "board-joined", "board-alone", "board-memory"),
    ),
    "a board with more rest": ("board-clock", "board-throttled", "board-busy", "board-unsettled"),
    "what somebody else has left or put there": ("board-clocks-left", "tune-storage"),
    "leaving the option out is all": ("option-idle",),
    "a folder or a name": ("cache-folder", "depfile-name", "refit-no-space"),
    "only to be known": (
        "evaluation-labels-by-name",
        *("toolkit-regtask", "toolkit-crash", "toolkit-refusal", "toolkit-nan", "toolkit-plan"),
        *("toolkit-rule-disabled", "toolkit-sparse-cycles", "toolkit-sparse", "toolkit-fidelity"),
        *("toolkit-layer-table", "toolkit-output-renamed", "toolkit-output-type"),
        "toolkit-slow",
        *("retention-class-lost", "latency-scale"),
        *("output-parts-apart", "output-undecoded"),
        *("outputs-broken", "retention-indistinct"),
    ),
}


def test_every_code_of_the_pages_is_listed_here(root: Path) -> None:
    table = (root / "docs" / "report.md").read_text().partition("## Warnings")[2]
    codes = re.findall(r"^\| `([a-z0-9-]+)` \|", table, re.MULTILINE)
    listed = [*TRIED, *(code for those in NOTHING_TO_GIVE.values() for code in those)]
    assert sorted(listed) == sorted(codes)
    for code, file in TRIED.items():
        (path,) = (root / "tests").rglob(file)
        assert code in path.read_text(), (code, file)


def followed(recipe: Recipe, hint: str) -> Recipe:
    """Return the recipe with the options that a hint gives."""
    options = {name.replace("-", "_"): value for name, value in mentioned(hint)}
    assert options and None not in options.values(), hint
    return recipe.with_options(**options)


# The structure of the model


def audited(recipe: Recipe, quantization: str = "normal") -> tuple[Diagnostic, ...]:
    return audit_target(
        ready_model(recipe.model, recipe.shape),
        RK3588,
        SILENT,
        toolkit_python=None,
        quantization=quantization,
        preprocess=None,
        ranges=None,
    )


CONV = "c = Conv (x, w)"
SCORES = "b = Mul (c, wide)  s = Sigmoid (c)"
# what the model computes, its outputs, the code, and the outputs that are left where it is followed
CUTS: dict[str, tuple[str, str, str, str]] = {
    "a join": (f"{CONV} {SCORES} y = Concat <axis = 1> (b, s)", "y", "output-range-join", "b s"),
    "a join in another shape": (
        f"{CONV} {SCORES} j = Concat <axis = 1> (b, s) y = Transpose <perm = [0, 2, 3, 1]> (j)",
        "y",
        "output-range-join",
        "b s",
    ),
    "a join of a join": (
        f"{CONV} {SCORES} t = Tanh (c) i = Concat <axis = 1> (s, t) y = Concat <axis = 1> (b, i)",
        "y",
        "output-range-join",
        "b s t",
    ),
    "a join beside another output": (
        f"{CONV} {SCORES} r = Relu (c) y = Concat <axis = 1> (b, s) z = Relu (r)",
        "z y",
        "output-range-join",
        "z b s",
    ),
    "a join with an input": (
        f"{CONV} {SCORES} y = Concat <axis = 1> (b, x, s)",
        "y",
        "output-range-join",
        "b s",
    ),
    "a convolution read twice": (
        f"{CONV} y = Sigmoid (c) z = Relu (c)",
        "y z",
        "fusion-sigmoid",
        "c z",
    ),
    "a convolution that is an output": (
        "z = Conv (x, w) y = Sigmoid (z)",
        "y z",
        "fusion-sigmoid",
        "z",
    ),
    "the best boxes": (
        f"{CONV} f = Reshape (c, row) y, i = TopK (f, k) z = Relu (c)",
        "y z",
        "cpu-fallback-nms",
        "f z",
    ),
    "an operator at the end": (f"{CONV} y = Exp (c)", "y", "cpu-fallback-operator", "c"),
    "two operators, and what follows": (
        f"{CONV} e = Exp (c) r = Relu (e) t = Relu (c) f = Exp (t) y = Add (r, f)",
        "y",
        "cpu-fallback-operator",
        "c t",
    ),
    "an operator beside another output": (
        f"{CONV} z = Relu (c) y = Exp (c)",
        "z y",
        "cpu-fallback-operator",
        "z c",
    ),
    "an operator that is refused": (
        f"{CONV} n = NonZero (c) y = Cast <to = 1> (n)",
        "y",
        "toolkit-operator",
        "c",
    ),
}


def saved(folder: Path, nodes: str, outputs: str) -> Path:
    weights = {
        "w": np.ones((8, 8, 1, 1)),
        "wide": np.full((1, 8, 1, 1), 640.0),
        "row": np.array([1, 3200]),
        "k": np.array([10]),
    }
    onnx.save(model_from_x(f"{{ {nodes} }}", outputs, weights=weights), folder / "m.onnx")
    return folder / "m.onnx"


@pytest.mark.parametrize("case", CUTS)
def test_a_cut_that_is_named(case: str, tmp_path: Path) -> None:
    """The warning goes, and what had nothing to do with it stays."""
    nodes, outputs, code, left = CUTS[case]
    recipe = make_recipe(saved(tmp_path, nodes, outputs))
    (warning,) = (each for each in audited(recipe) if each.code == code)
    cut = followed(recipe, warning.hint)
    assert code not in [each.code for each in audited(cut)]
    ended = ready_model(cut.model, cut.shape).model
    assert [value.name for value in ended.graph.output] == left.split()


@pytest.mark.parametrize(
    "nodes",
    [
        "a = Conv (x, w) e = Exp (a) y = Conv (e, w)",
        "a = Conv (x, w) n = ReduceMax <axes = [1]> (a) r = Add (a, n) y = Conv (r, w)",
    ],
)
def test_no_cut_is_named_inside_the_network(nodes: str, tmp_path: Path) -> None:
    warning = only(audited(make_recipe(saved(tmp_path, nodes, "y"))))
    assert warning.code == "cpu-fallback-operator"
    assert not mentioned(warning.hint) and warning.hint.startswith("replace the operator; ")


# What the compiler says


def layer_table(*layers: tuple[str, str]) -> tuple[Layer, ...]:
    """Return layers by operator and name, all on the CPU."""
    rows = (
        f"{number} {op} INT8 CPU (1,8,20,20) (1,8,20,20) 0/0/0 80 {op}:{name}"
        for number, (op, name) in enumerate(layers)
    )
    return parse_layers("Network Layer Information Table\n" + "\n".join(rows))


def quantized(model: ModelProto, folder: Path) -> ModelProto:
    samples = [{"x": np.random.default_rng(0).standard_normal((1, 8, 20, 20), np.float32)}]
    quantize(model, folder / "q.onnx", folder / "plan.toml", samples, method="min-max")
    return onnx.load(folder / "q.onnx")


@pytest.mark.parametrize("is_quantized", [False, True])
@pytest.mark.parametrize("name", ["rounding", "j_rs", "j"])
def test_layers_on_the_cpu_at_the_end(name: str, is_quantized: bool, tmp_path: Path) -> None:
    """By the name of a node, of its output, or of that with what the compiler appends."""
    nodes = f"{CONV} r = Relu (c) [rounding] j = Round (r) y = Relu (j)"
    recipe = make_recipe(saved(tmp_path, nodes, "y"))
    model = ready_model(recipe.model, recipe.shape).model
    built = quantized(model, tmp_path) if is_quantized else model
    (warning,) = cpu_warnings(layer_table(("Round", name)), "", built)
    assert warning.code == "cpu-fallback-layer"
    cut = followed(recipe, warning.hint)
    left = ready_model(cut.model, cut.shape).model.graph
    assert [node.op_type for node in left.node] == ["Conv", "Relu"]


def test_a_join_in_the_middle_of_the_network_is_no_place_to_cut(tmp_path: Path) -> None:
    nodes = f"{CONV} d = Conv (c, w) [neck] j = Concat <axis = 2> (c, d) y = Conv (j, w)"
    model = onnx.load(saved(tmp_path, nodes, "y"))
    (warning,) = cpu_warnings(layer_table(("Concat", "neck")), "", model)
    assert not mentioned(warning.hint)
    assert "too little of the model would be left" in warning.hint


def test_layers_that_no_node_is_known_of_are_not_cut(tmp_path: Path) -> None:
    model = onnx.load(saved(tmp_path, CONV, "c"))
    (warning,) = cpu_warnings(layer_table(("Reformat", "elsewhere")), "", model)
    assert warning.hint == "replace the operator"


# Numbers


def codes(model: ModelProto, quantization: str = "float16", **options: Any) -> list[str]:
    return [each.code for each in audit(model, RK3588, quantization=quantization, **options)]


def test_in_int8_no_constant_overflows() -> None:
    model = model_from_x("{ y = Conv (x, w) }", weights={"w": np.full((8, 8, 1, 1), 1e6)})
    warning = only(audit(model, RK3588, quantization="float16"))
    assert warning.code == "float16-overflow" and warning.hint.startswith("quantize to int8, or ")
    assert codes(model, "normal") == []


def test_one_mean_for_many_channels_is_no_matter() -> None:
    model = model_from_x("{ y = Relu (x) }")
    assert codes(model, means={"x": range(8)}) == ["preprocess-channels"]
    assert codes(model, means={"x": [4.0] * 8}) == []


def test_an_opset_that_is_taken() -> None:
    text = "(float[1,8] x) => (float[1,8] y) { y = Relu (x) }"
    model = model_of(text, opset=20, prepared=False)
    warning = only(audit(model, RK3588, quantization="float16"))
    assert warning.code == "toolkit-opset" and "onnx.version_converter" in warning.hint
    (opset,) = re.findall(r"opset (\d+)", warning.hint)
    assert codes(version_converter.convert_version(model, int(opset))) == []


# Samples and figures


def test_a_scale_of_0_to_255() -> None:
    small = Preprocessing(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
    (warning,) = option_warnings(small)
    assert warning.code == "preprocess-scale"
    assert warning.hint == f"give {option('mean')} and {option('std')} in 0..255"
    mean, std = (tuple(255 * value for value in values) for values in (small.mean, small.std))
    assert option_warnings(replace(small, mean=mean, std=std)) == ()


@pytest.mark.parametrize(
    ("code", "wrong"),
    [
        ("preprocess-mean-std", {"mean": (90,), "std": (73,)}),
        ("preprocess-scale", {"mean": (73 / 255,), "std": (90 / 255,)}),
    ],
)
def test_the_preprocessing_that_is_named(code: str, wrong: dict[str, Any]) -> None:
    model, labelled = sample_path(MODEL), sample_path(TEST)
    recipe = make_recipe(model, eval=labelled, eval_count=120, allow=["preprocess"], **wrong)
    warning, few = check(recipe, model).targets[0].warnings
    assert (warning.code, few.code) == (code, "retention-too-few-samples")
    values = re.findall(r"--(mean|std) ([\d.]+)", warning.hint)  # as the command line says it
    given = {name: (float(value),) for name, value in values}
    assert set(given) == {"mean", "std"}
    assert check(recipe.with_options(**given), model).targets[0].warnings == ()  # enough, too


def test_the_accuracy_that_mixed_precision_can_reach(tmp_path: Path) -> None:
    text = """(float[1,16] x) => (float[1,8] y) {
        h = MatMul (x, first)
        r = Relu (h)
        y = MatMul (r, second) }"""
    random = np.random.default_rng(0)
    weights = {"first": random.normal(size=(16, 16)), "second": random.normal(size=(16, 8))}
    onnx.save(model_of(text, weights, prepared=False), tmp_path / "m.onnx")
    np.savez(tmp_path / "c.npz", x=random.normal(size=(20, 16)).astype(np.float32))
    recipe = make_recipe(tmp_path / "m.onnx", calib=tmp_path / "c.npz", mixed="sqnr=400")
    (warning,) = (
        each
        for each in quantize_file(recipe, tmp_path / "q.onnx").warnings
        if each.code == "mixed-budget"
    )
    assert warning.hint.startswith("ask for less, ")
    (best,) = re.findall(r"has ([\d.]+) dB", warning.text)
    less = recipe.with_options(mixed=f"sqnr={float(best) - 0.1:.1f}")
    warnings = quantize_file(less, tmp_path / "q.onnx").warnings
    assert "mixed-budget" not in [each.code for each in warnings]


def of_a_comparison(gates: Gates, **figures: Any) -> tuple[Diagnostic, ...]:
    whole = Comparison("top1", None, None, None, None, 30.0, 500)
    return result_warnings(None, replace(whole, **figures), gates)


def test_as_many_samples_as_would_do() -> None:
    gates, result = Gates(min_retention=0.98), Retention(0.985, 0.975, 0.993, 500, -0.014)
    (warning,) = of_a_comparison(gates, retention=result)
    assert warning.code == "retention-too-few-samples" and mentioned(warning.hint)
    (enough,) = re.findall(r"about (\d+) would do", warning.text)
    half = (500 / int(enough)) ** 0.5
    narrow = Retention(0.985, 0.985 - 0.010 * half, 0.985 + 0.008 * half, int(enough), -0.014)
    assert of_a_comparison(gates, retention=narrow) == ()


def test_a_limit_that_few_samples_can_tell() -> None:
    result = Retention(0.982, 0.964, 0.996, 80, -0.018)
    (warning,) = of_a_comparison(Gates(min_retention=0.98), retention=result)
    ((name, limit),) = mentioned(warning.hint)
    assert name == "min-retention"
    assert of_a_comparison(Gates(min_retention=limit), retention=result) == ()
    failing = Retention(0.978, 0.964, 0.986, 80, -0.022)
    (warning,) = of_a_comparison(Gates(min_retention=0.98), retention=failing)
    assert warning.hint == "take it that the limit does not hold, or lower it"


def test_labels_instead_of_similarity() -> None:
    (warning,) = of_a_comparison(Gates(), metric=None, sqnr_db=3.0)
    assert warning.code == "retention-low-similarity"
    assert mentioned(warning.hint) == [("eval", None)]
    assert of_a_comparison(Gates(), metric="top1", sqnr_db=3.0) == ()


@pytest.mark.parametrize(("eval_count", "name"), [(20, "eval-count"), (30, "eval"), (None, "eval")])
def test_more_samples_are_drawn_where_a_count_left_some_out(
    eval_count: int | None, name: str
) -> None:
    few = Retention(0.9, 0.7, 1.0, 20, -0.1)
    comparison = replace(Comparison("top1", None, None, None, None, 30.0, 20), retention=few)
    (warning,) = result_warnings(None, comparison, Gates(), eval_count=eval_count)
    assert warning.code == "retention-too-few-samples"
    assert mentioned(warning.hint) == [(name, None)]


@pytest.mark.parametrize(("calib_count", "name"), [(2, "calib-count"), (3, "calib")])
def test_a_single_command_asks_for_samples_that_it_takes(calib_count: int, name: str) -> None:
    few = Comparison(None, None, None, None, 1.0, 30.0, 2)
    (warning,) = look_warnings(few, calib_count)
    assert warning.code == "retention-too-few-samples"
    assert mentioned(warning.hint) == [(name, None)]


def test_a_single_command_names_the_one_that_takes_labels() -> None:
    (warning,) = look_warnings(Comparison(None, None, None, None, 1.0, 3.0, 64))
    assert warning.code == "retention-low-similarity"
    assert f"rockpress check {option('eval')}" in warning.hint
