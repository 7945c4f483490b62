"""ONNX graphs in torch give what ONNX Runtime gives, and training them makes them better."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper, numpy_helper

from commands import Run
from graphs import Samples, model_of_nodes, random_feeds
from rockpress.calibration_data.bundled import CALIBRATION, DEMO_PREPROCESS, MODEL, sample_path
from rockpress.core.errors import ModelError
from rockpress.core.graphs.graph import Graph
from rockpress.core.graphs.sparsity import sparse_axis
from rockpress.core.passes.prepare import fixed_input_shapes, prepare_model
from rockpress.core.results.pruning_figures import Distillation
from rockpress.core.session import Session
from rockpress.core.training import training_loop
from rockpress.core.training.schedule import Schedule
from rockpress.core.training.stored_samples import TrainingSamples, store_samples
from rockpress.core.training.torch_graph import TorchGraph, trainable, with_weights
from rockpress.core.training.torch_operators import OPERATORS
from rockpress.core.training.training_loop import TrainingLoop
from rockpress.pipeline.caching.cache_folder import cache_folder
from rockpress.pipeline.caching.stage_cache import Cache
from rockpress.prune.distillation.distil import distil
from rockpress.prune.distillation.distil_training import PrunedTraining
from rockpress.report.text.pruning_text import distillation_text
from training_steps import Steps, Stopped

pytestmark = pytest.mark.torch

Array = NDArray[Any]
RNG = np.random.default_rng(7)
IMAGE = (1, 4, 7, 6)
ROWS = (1, 5, 8)


def floats(*shape: int) -> Array:
    return RNG.standard_normal(shape).astype(np.float32)


def ints(*values: int) -> Array:
    return np.array(values, np.int64)


Case = tuple[str, tuple[int, ...], list[Array | None], dict[str, Any]]


def plain(name: str, *constants: Array) -> Case:
    return name, IMAGE, list(constants), {}


LAYERS: list[Case] = [
    ("Conv", IMAGE, [floats(8, 4, 3, 3), floats(8)], {"pads": [1, 1, 1, 1]}),
    ("Conv", IMAGE, [floats(8, 4, 3, 2)], {"pads": [0, 1, 2, 0], "strides": [2, 1]}),
    ("Conv", IMAGE, [floats(4, 1, 3, 3), floats(4)], {"group": 4, "dilations": [2, 2]}),
    ("Conv", IMAGE, [floats(6, 4, 3, 3)], {"auto_pad": "SAME_UPPER", "strides": [2, 2]}),
    ("Conv", IMAGE, [floats(6, 4, 2, 2)], {"auto_pad": "SAME_LOWER"}),
    ("Conv", (1, 4, 9), [floats(6, 4, 3)], {"pads": [1, 1]}),
    ("ConvTranspose", IMAGE, [floats(4, 5, 2, 2), floats(5)], {"strides": [2, 2]}),
    ("ConvTranspose", IMAGE, [floats(4, 1, 3, 3)], {"group": 4, "pads": [1, 0, 0, 1]}),
    ("ConvTranspose", IMAGE, [floats(4, 5, 3, 3)], {"strides": [2, 2], "output_shape": [14, 12]}),
    (
        "ConvTranspose",
        IMAGE,
        [floats(4, 5, 3, 3)],
        {"strides": [2, 2], "pads": [1, 1, 1, 1], "output_padding": [1, 1]},
    ),
    ("Gemm", (1, 8), [floats(5, 8), floats(5)], {"transB": 1, "alpha": 0.5, "beta": 2.0}),
    ("Gemm", (8, 1), [floats(8, 5)], {"transA": 1}),
    ("MatMul", ROWS, [floats(8, 3)], {}),
    ("MaxPool", IMAGE, [], {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]}),
    ("MaxPool", IMAGE, [], {"kernel_shape": [2, 2], "pads": [0, 0, 1, 1]}),
    ("MaxPool", IMAGE, [], {"kernel_shape": [3, 3], "strides": [2, 2], "ceil_mode": 1}),
    ("AveragePool", IMAGE, [], {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}),
    (
        "AveragePool",
        IMAGE,
        [],
        {"kernel_shape": [3, 3], "pads": [1, 0, 1, 1], "count_include_pad": 1},
    ),
    ("GlobalAveragePool", IMAGE, [], {}),
    ("GlobalMaxPool", IMAGE, [], {}),
    ("BatchNormalization", IMAGE, [floats(4), floats(4), floats(4), np.abs(floats(4))], {}),
    ("InstanceNormalization", IMAGE, [floats(4), floats(4)], {"epsilon": 1e-3}),
    ("LayerNormalization", ROWS, [floats(8), floats(8)], {}),
    ("LayerNormalization", ROWS, [floats(5, 8)], {"axis": 1}),
]
MOVING: list[Case] = [
    ("Reshape", IMAGE, [ints(0, -1, 6)], {}),
    ("Flatten", IMAGE, [], {"axis": 2}),
    ("Flatten", IMAGE, [], {"axis": -1}),
    ("Squeeze", (1, 4, 1, 6), [ints(2)], {}),
    ("Squeeze", (1, 4, 1, 6), [], {}),
    ("Unsqueeze", ROWS, [ints(-1, 1)], {}),
    ("Transpose", IMAGE, [], {"perm": [0, 3, 1, 2]}),
    ("Transpose", ROWS, [], {}),
    ("Concat", ROWS, [floats(1, 2, 8)], {"axis": 1}),
    ("Slice", IMAGE, [ints(1, -1), ints(3, -9), ints(1, 2), ints(1, -2)], {}),
    ("Slice", IMAGE, [ints(0, 1), ints(9, 1000), ints(-2, 3), ints(2, 1)], {}),
    ("Gather", ROWS, [ints(2, 0, -1)], {"axis": 1}),
    ("Gather", ROWS, [np.array(3, np.int64)], {"axis": -1}),
    ("Pad", IMAGE, [ints(0, 0, 1, 2, 0, 1, 0, 3), np.float32(0.5).reshape(())], {}),
    ("Pad", IMAGE, [ints(0, 0, 1, 2, 0, 0, 2, 1)], {"mode": "reflect"}),
    ("Pad", IMAGE, [ints(0, 0, 1, 2, 0, 0, 2, -1)], {"mode": "edge"}),
    ("DepthToSpace", IMAGE, [], {"blocksize": 2}),
    ("DepthToSpace", IMAGE, [], {"blocksize": 2, "mode": "CRD"}),
    ("SpaceToDepth", (1, 3, 4, 6), [], {"blocksize": 2}),
    ("Shape", IMAGE, [], {"start": 1}),
    ("Expand", (1, 1, 5), [ints(1, 3, 1)], {}),
    ("Tile", ROWS, [ints(1, 2, 1)], {}),
]
SIMPLE: list[Case] = [
    *map(plain, "Relu Sigmoid Tanh Exp Abs Neg Erf Softplus Softsign HardSwish Mish Elu".split()),
    *map(plain, "HardSigmoid Floor Ceil Sin Cos Sign Identity Dropout Reciprocal".split()),
    ("HardSigmoid", IMAGE, [], {"alpha": 1 / 6, "beta": 0.4}),
    ("LeakyRelu", IMAGE, [], {"alpha": 0.2}),
    ("PRelu", IMAGE, [floats(4, 1, 1)], {}),
    ("Clip", IMAGE, [np.float32(0).reshape(()), np.float32(6).reshape(())], {}),
    ("Clip", IMAGE, [None, np.float32(0.5).reshape(())], {}),
    ("Softmax", ROWS, [], {"axis": 1}),
    ("LogSoftmax", ROWS, [], {}),
    *(plain(name, floats(4, 1, 1)) for name in "Add Sub Mul Div Min Max Sum".split()),
    ("Pow", IMAGE, [np.float32(2).reshape(())], {}),
    *[("Reduce" + name, ROWS, [], {"axes": [1]}) for name in ("Max", "Min", "L2", "Mean")],
    ("ReduceMean", IMAGE, [], {"axes": [-1, 2], "keepdims": 0}),
    ("ReduceSum", ROWS, [ints(2)], {}),
    ("ReduceSum", ROWS, [], {"noop_with_empty_axes": 1}),
    ("Cast", IMAGE, [], {"to": TensorProto.INT32}),
]
RESIZES: list[dict[str, Any]] = [
    {"mode": mode, "coordinate_transformation_mode": where, **more}
    for mode in ("nearest", "linear")
    for where in ("half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel")
    for more in (({"nearest_mode": "floor"}, {}) if mode == "nearest" else ({},))
]


def model_of(
    nodes: list[onnx.NodeProto],
    shapes: dict[str, tuple[int, ...]],
    weights: dict[str, Array],
    outputs: tuple[str, ...] = ("y",),
) -> ModelProto:
    opset = 18 if any(node.op_type == "Mish" for node in nodes) else 17
    return model_of_nodes(nodes, shapes, dict.fromkeys(outputs), weights, opset=opset)


def assert_equal(model: ModelProto, tolerance: float = 2e-5) -> None:
    """Three samples at once in torch are each what ONNX Runtime makes of it."""
    import torch

    shapes = fixed_input_shapes(model)
    feeds = [{name: floats(*shape) for name, shape in shapes.items()} for _ in range(3)]
    session = Session(model)
    wanted = [np.stack(parts) for parts in zip(*map(session.run, feeds), strict=True)]
    stacked = {name: torch.from_numpy(np.stack([one[name] for one in feeds])) for name in shapes}
    found = TorchGraph(model)(stacked)
    for a, b in zip(wanted, found, strict=True):
        assert a.shape == tuple(b.shape)
        np.testing.assert_allclose(b.detach().numpy(), a, atol=tolerance, rtol=tolerance)


def named(case: Case) -> str:
    return case[0]


@pytest.mark.parametrize("case", [*LAYERS, *MOVING, *SIMPLE], ids=named)
def test_an_operator_is_that_of_onnx_runtime(case: Case) -> None:
    name, shape, constants, settings = case
    weights = {f"c{at}": value for at, value in enumerate(constants) if value is not None}
    inputs = [f"c{at}" if value is not None else "" for at, value in enumerate(constants)]
    node = helper.make_node(name, ["x", *inputs], ["y"], **settings)
    assert_equal(model_of([node], {"x": shape}, weights))


@pytest.mark.parametrize("settings", RESIZES, ids=lambda one: "-".join(one.values()))
@pytest.mark.parametrize("scales", [(1, 1, 2, 2), (1, 1, 0.5, 1.7)])
def test_resize(settings: dict[str, Any], scales: tuple[float, ...]) -> None:
    node = helper.make_node("Resize", ["x", "", "scales"], ["y"], **settings)
    assert_equal(model_of([node], {"x": (1, 2, 6, 8)}, {"scales": np.array(scales, np.float32)}))


def test_resize_to_sizes_and_what_has_several_outputs_or_inputs() -> None:
    sizes = {"sizes": ints(1, 4, 10, 6)}
    node = helper.make_node("Resize", ["x", "", "", "sizes"], ["y"], mode="linear")
    assert_equal(model_of([node], {"x": IMAGE}, sizes))
    split = helper.make_node("Split", ["x", "parts"], ["a", "b"], axis=1)
    assert_equal(model_of([split], {"x": IMAGE}, {"parts": ints(1, 3)}, ("a", "b")))
    halves = helper.make_node("Split", ["x"], ["a", "b"], axis=1)
    assert_equal(model_of([halves], {"x": IMAGE}, {}, ("a", "b")))
    chosen = [
        helper.make_node("Greater", ["x", "z"], ["m"]),
        helper.make_node("Not", ["m"], ["n"]),
        helper.make_node("Where", ["n", "x", "z"], ["y"]),
    ]
    assert_equal(model_of(chosen, {"x": ROWS, "z": ROWS}, {}))
    attention = [
        helper.make_node("Transpose", ["x"], ["t"], perm=[0, 2, 1]),
        helper.make_node("MatMul", ["x", "t"], ["s"]),
        helper.make_node(
            "Constant", [], ["by"], value=numpy_helper.from_array(np.array(0.4, np.float32))
        ),
        helper.make_node("Mul", ["s", "by"], ["u"]),
        helper.make_node("Softmax", ["u"], ["p"]),
        helper.make_node("MatMul", ["p", "x"], ["y"]),
    ]
    assert_equal(model_of(attention, {"x": ROWS}, {}))


def test_a_reshape_that_names_its_one_sample_takes_many() -> None:
    nodes = [
        helper.make_node("Reshape", ["x", "shape"], ["r"]),
        helper.make_node("Reshape", ["r", "back"], ["y"]),
    ]
    weights = {"shape": ints(4, 42), "back": ints(1, 168)}
    assert_equal(model_of(nodes, {"x": IMAGE}, weights))


def test_operators_that_are_tested_are_most_of_those_that_there_are() -> None:
    tested = {case[0] for case in (*LAYERS, *MOVING, *SIMPLE)} | {"Resize", "Split"}
    tested |= {"QuantizeLinear", "DequantizeLinear"}  # tests/quantize
    rest = {"Upsample", "Log", "Sqrt", "Gelu", "Not", "Equal", "Greater", "Less", "Where"}
    assert set(OPERATORS) - tested == rest


def test_the_demo_model_is_that_of_onnx_runtime() -> None:
    assert_equal(prepare_model(onnx.load(str(sample_path(MODEL)))), 1e-4)


def test_an_unknown_operator_is_named() -> None:
    nodes = [helper.make_node("NonZero", ["x"], ["y"])]
    with pytest.raises(ModelError, match=r"NonZero \(1\)"):
        TorchGraph(model_of(nodes, {"x": IMAGE}, {}))


# -- training --------------------------------------------------------------------------------------


def classifier(hidden: int, seed: int) -> ModelProto:
    """A small network with a hard-swish written out, whose 3 and 6 are no weights."""
    rng = np.random.default_rng(seed)
    nodes = [
        helper.make_node("Conv", ["x", "w1", "b1"], ["c"], name="first", pads=[1, 1, 1, 1]),
        helper.make_node("Add", ["c", "three"], ["d"]),
        helper.make_node("Clip", ["d", "zero", "six"], ["e"]),
        helper.make_node("Mul", ["c", "e"], ["f"]),
        helper.make_node("Div", ["f", "six"], ["h"]),
        helper.make_node("GlobalAveragePool", ["h"], ["p"]),
        helper.make_node("Flatten", ["p"], ["q"]),
        helper.make_node("Gemm", ["q", "w2", "b2"], ["z"], name="last"),
        helper.make_node("Softmax", ["z"], ["y"]),
    ]
    weights = {
        "w1": rng.standard_normal((hidden, 2, 3, 3)).astype(np.float32),
        "b1": np.zeros(hidden, np.float32),
        "w2": (4 * rng.standard_normal((hidden, 3)) / hidden).astype(np.float32),
        "b2": np.zeros(3, np.float32),
        **{
            name: np.float32(value).reshape(())
            for name, value in (("zero", 0), ("three", 3), ("six", 6))
        },
    }
    return model_of(nodes, {"x": (1, 2, 6, 6)}, weights)


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    """A student that lost half of its hidden channels, and its teacher."""
    teacher = classifier(8, 1)
    student = classifier(4, 1)
    values = {t.name: numpy_helper.to_array(t) for t in teacher.graph.initializer}
    cut = {"w1": values["w1"][:4], "b1": values["b1"][:4], "w2": values["w2"][:4]}
    onnx.save(with_weights(student, cut), str(tmp_path / "student.onnx"))
    onnx.save(teacher, str(tmp_path / "teacher.onnx"))
    return tmp_path / "student.onnx", tmp_path / "teacher.onnx"


def samples(count: int, seed: int) -> Samples:
    return random_feeds({"x": (1, 2, 6, 6)}, count, seed)


def run(pair: tuple[Path, Path], output: Path, **options: Any) -> Any:
    plan = Schedule(**{"steps": 150, "seconds": 1e6, **options.pop("plan", {})})
    return distil(*pair, TrainingSamples(samples(64, 1), samples(32, 2)), output, plan, **options)


def test_training_helps_and_changes_weights_only(pair: tuple[Path, Path], tmp_path: Path) -> None:
    progress = Steps()
    found = run(pair, tmp_path / "o.onnx", progress=progress)
    assert found.kept
    assert found.divergence_after < 0.5 * found.divergence_before
    assert (found.steps, found.samples, found.held_out) == (150, 64, 32)
    assert progress.steps[0] == (0, 150)
    assert progress.steps[-1] == (150, 150)
    before, after = onnx.load(str(pair[0])), onnx.load(str(tmp_path / "o.onnx"))
    assert list(after.graph.node) == list(before.graph.node)
    changed = {
        a.name
        for a, b in zip(after.graph.initializer, before.graph.initializer, strict=True)
        if a != b
    }
    assert changed == {"w1", "b1", "w2", "b2"} == set(trainable_of(before))


def trainable_of(model: ModelProto) -> list[str]:
    from rockpress.core.graphs.graph import Graph

    return trainable(Graph(model))


def test_a_student_that_is_no_better_is_not_kept(pair: tuple[Path, Path], tmp_path: Path) -> None:
    """The teacher as its own student cannot be improved."""
    teacher = pair[1]
    found = run((teacher, teacher), tmp_path / "o.onnx", plan={"steps": 30})
    assert not found.kept
    assert found.divergence_before == found.divergence_after == 0
    assert onnx.load(str(tmp_path / "o.onnx")) == onnx.load(str(teacher))


def test_the_seed_decides(pair: tuple[Path, Path], tmp_path: Path) -> None:
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        run(pair, tmp_path / name, plan={"seed": seed, "steps": 30})
    a, b, c = ((tmp_path / name).read_bytes() for name in "abc")
    assert a == b != c


def test_a_stopped_run_goes_on_where_it_was(pair: tuple[Path, Path], tmp_path: Path) -> None:
    checkpoint, output = tmp_path / "kept" / "c.pt", tmp_path / "o.onnx"
    whole = tmp_path / "whole.onnx"
    run(pair, whole)

    with pytest.raises(Stopped):
        run(pair, output, checkpoint=checkpoint, progress=Steps(stop=90))
    assert not output.exists()
    progress = Steps()
    run(pair, output, checkpoint=checkpoint, progress=progress)
    assert progress.steps[0][0] == 75  # the last look before the stop
    assert output.read_bytes() == whole.read_bytes()
    assert not checkpoint.exists()


def test_a_damaged_checkpoint_is_none(pair: tuple[Path, Path], tmp_path: Path) -> None:
    checkpoint = tmp_path / "c.pt"
    checkpoint.write_bytes(b"PK no archive")
    progress = Steps()
    plan = {"steps": 10}
    run(pair, tmp_path / "o.onnx", plan=plan, checkpoint=checkpoint, progress=progress)
    assert progress.steps[0][0] == 0


def test_zeros_of_a_sparse_matrix_stay(pair: tuple[Path, Path], tmp_path: Path) -> None:
    model = onnx.load(str(pair[0]))
    values = {t.name: numpy_helper.to_array(t).copy() for t in model.graph.initializer}
    values["w1"][:, 0] = 0
    onnx.save(with_weights(model, {"w1": values["w1"]}), str(pair[0]))
    assert run(pair, tmp_path / "o.onnx").kept
    found = {t.name: t for t in onnx.load(str(tmp_path / "o.onnx")).graph.initializer}
    trained = numpy_helper.to_array(found["w1"])
    assert not trained[:, 0].any()
    assert (trained[:, 1] != values["w1"][:, 1]).all()
    assert numpy_helper.to_array(found["b1"]).any()  # zeros of a bias are no pattern


def test_training_that_goes_wrong_turns_back(pair: tuple[Path, Path], tmp_path: Path) -> None:
    student, teacher = (onnx.load(str(one)) for one in pair)
    rows = store_samples(samples(32, 1), tmp_path / "rows")
    training = PrunedTraining(student, teacher, rows, rows, seed=0)
    loop = TrainingLoop(training, Schedule(steps=10, seconds=1e6))
    start = training.weights()["w1"]
    for parameter, _ in training.parameters():
        parameter.detach().fill_(np.nan)
    loop._keep_best()
    assert np.array_equal(training.weights()["w1"], start)
    assert loop.best == loop.start


def test_outputs_that_are_no_classes(tmp_path: Path) -> None:
    """A map: compared by its squared error."""
    for hidden, name in ((6, "teacher"), (3, "student")):
        rng = np.random.default_rng(1)
        nodes = [
            helper.make_node("Conv", ["x", "w1"], ["c"], pads=[1, 1, 1, 1]),
            helper.make_node("Relu", ["c"], ["r"]),
            helper.make_node("Conv", ["r", "w2"], ["s"]),
            helper.make_node("Sigmoid", ["s"], ["y"]),
        ]
        weights = {
            "w1": rng.standard_normal((hidden, 2, 3, 3)).astype(np.float32),
            "w2": rng.standard_normal((1, hidden, 1, 1)).astype(np.float32),
        }
        onnx.save(model_of(nodes, {"x": (1, 2, 6, 6)}, weights), str(tmp_path / f"{name}.onnx"))
    found = run((tmp_path / "student.onnx", tmp_path / "teacher.onnx"), tmp_path / "o.onnx")
    assert found.measure == "cosine"
    assert found.kept
    assert found.likeness_after > found.likeness_before


# -- the commands ----------------------------------------------------------------------------------


@pytest.fixture
def demo_options(tmp_path: Path) -> list[str]:
    calib = str(sample_path(CALIBRATION))
    how = ["--mean", str(DEMO_PREPROCESS.mean[0]), "--std", str(DEMO_PREPROCESS.std[0])]
    return [str(sample_path(MODEL)), "--calib", calib, "--calib-count", "48", *how, "--json", "-q"]


def test_prune_writes_a_distilled_model(
    rockpress: Run, demo_options: list[str], tmp_path: Path
) -> None:
    output = tmp_path / "o.onnx"
    more = ["-o", output, "--budget", "macs=-50%", "--recover", "distill", "--recover-time", "4"]
    code, out, err = rockpress("prune", *demo_options, *more)
    assert code == 0, err
    found = json.loads(out)["distillation"]
    assert (found["samples"], found["held_out"]) == (36, 12)
    assert found["steps"] > 0
    assert found["kept"] == (found["divergence_after"] < found["divergence_before"])
    assert ("pruning-distillation" in err) != found["kept"]
    assert fixed_input_shapes(onnx.load(str(output)))
    assert Cache(cache_folder()).entries() == []  # nothing unfinished is left


def test_a_sparse_model_stays_sparse_while_it_is_distilled(
    rockpress: Run,
    demo_options: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Schedule, "done", lambda self, step, _: step / 50)
    output = tmp_path / "o.onnx"
    # a cut that leaves something to win back, so that what is written are the trained weights
    cut = ["--budget", "cycles=-75%", "--sparsity", "2:4", "--target", "rk3576"]
    code, out, err = rockpress("prune", *demo_options, "-o", output, *cut, "--recover", "distill")
    assert code == 0, err
    told = json.loads(out)
    assert told["distillation"]["kept"], told["distillation"]
    trained = Graph(onnx.load(str(output)))
    wanted = {one["name"]: one["axis"] for one in told["sparsity"]["layers"]}
    found = {
        node.name: sparse_axis(node, trained.weights[node.input[1]])
        for node in trained.nodes
        if node.op_type in ("Conv", "Gemm")
    }
    assert len(wanted) > 4
    assert {name: found[name] for name in wanted} == wanted


def test_an_interrupted_prune_goes_on(
    rockpress: Run,
    demo_options: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    output = tmp_path / "out" / "o.onnx"
    more = ["-o", output, "--budget", "macs=-50%", "--recover", "distill"]
    monkeypatch.setattr(training_loop, "_INTERVAL", 2)
    monkeypatch.setattr(Schedule, "done", lambda self, step, _: step / 6)
    seen = []
    judge = TrainingLoop._keep_best

    def stop(self: TrainingLoop) -> None:
        judge(self)
        seen.append(self.step)
        if seen == [2, 4]:
            raise KeyboardInterrupt

    monkeypatch.setattr(TrainingLoop, "_keep_best", stop)
    code, _, _ = rockpress("prune", *demo_options, *more)
    assert code == 130
    assert not output.exists()
    assert len(Cache(cache_folder()).entries()) == 1
    code, _, err = rockpress("prune", *demo_options, *more)
    assert code == 0, err
    assert seen == [2, 4, 4, 6, 6]  # step 2 was kept, 4 was not yet
    assert output.exists()


def test_a_run_reports_what_distillation_did(
    rockpress: Run, demo_options: list[str], tmp_path: Path
) -> None:
    more = ["-o", tmp_path / "b", "--prune", "macs=-50%", "--recover", "distill"]
    more += ["--recover-time", "3", "--quantize", "off"]
    code, out, err = rockpress("run", *demo_options, *more)
    assert code == 0, err
    (target,) = json.loads(out)["targets"]
    assert target["pruning"]["distillation"]["held_out"] == 12
    assert "distill" in [stage["name"] for stage in target["stages"]]
    found = distillation_text(Distillation(**target["pruning"]["distillation"]))
    assert found.startswith("distillation: ")
