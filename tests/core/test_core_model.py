"""Models that were not written here: broken, hostile, dynamic, old."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper, numpy_helper

from graphs import Weights, model_of, model_of_nodes
from rockpress.core.errors import ModelError, OptionError, OutputError
from rockpress.core.graphs.graph import Graph
from rockpress.core.graphs.layers import macs_of
from rockpress.core.graphs.model import (
    load_model,
    model_bytes,
    model_digest,
    parameter_count,
    save_model,
)
from rockpress.core.passes.prepare import fixed_input_shapes, input_shapes_of, prepare_model
from rockpress.core.session import Session


def parsed(text: str, weights: Weights | None = None, *domains: str) -> ModelProto:
    return model_of(text, weights, domains=domains, prepared=False)


def conv(value: float = 1.0) -> ModelProto:
    weight = np.full((8, 3, 3, 3), 0.5, np.float32)
    weight[0, 0, 0, 0] = value
    return parsed("(float[1,3,8,8] x) => (float[1,8,6,6] y) { y = Conv (x, w) }", {"w": weight})


def refused(path: Path) -> str:
    with pytest.raises(ModelError) as caught:
        load_model(path)
    assert caught.value.hint
    assert "\n" not in caught.value.message
    return caught.value.message


def test_weights_in_the_branches_of_an_if_are_parameters() -> None:
    model = parsed(
        """(bool c) => (float[1] y) {
            y = If (c) <
                then_branch = g () => (float[1] a) { a = Constant <value = float[1] {1}> () },
                else_branch = h () => (float[1] b) { b = Constant <value = float[1] {3}> () }> }""",
        {},
    )
    assert parameter_count(model) == 2


def test_a_model_survives_saving_and_loading(tmp_path: Path) -> None:
    save_model(conv(), tmp_path / "new" / "m.onnx")
    loaded = load_model(tmp_path / "new" / "m.onnx")
    assert loaded.SerializeToString() == conv().SerializeToString()
    assert parameter_count(loaded) == 8 * 27
    assert model_bytes(tmp_path / "new" / "m.onnx") == conv().ByteSize()


def test_no_file_and_no_model(tmp_path: Path) -> None:
    assert "does not exist" in refused(tmp_path / "none.onnx")
    assert "is a folder" in refused(tmp_path)
    (tmp_path / "empty.onnx").touch()
    assert "(0 bytes)" in refused(tmp_path / "empty.onnx")


@pytest.mark.parametrize("name", ["m.onnx", "m.json", "m.txt", "m.textproto", "m.onnxtxt", "m"])
@pytest.mark.parametrize("content", [b"{}", b"<graph>", b"\0" * 99, bytes(range(256))])
def test_files_that_are_not_onnx_are_refused(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    assert "not ONNX" in refused(tmp_path / name)


def test_truncations_are_noticed(tmp_path: Path) -> None:
    whole = conv().SerializeToString()
    path = tmp_path / "m.onnx"
    for length in range(0, len(whole), 13):
        path.write_bytes(whole[:length])
        refused(path)


def test_the_name_does_not_matter(tmp_path: Path) -> None:
    (tmp_path / "m.json").write_bytes(conv().SerializeToString())
    assert len(load_model(tmp_path / "m.json").graph.node) == 1


def external(folder: Path, location: str) -> Path:
    """A model whose weight of 864 bytes lives in another file, written where ``location`` says."""
    model = conv()
    (tensor,) = model.graph.initializer
    data = numpy_helper.to_array(tensor).tobytes()
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in {"location": location, "offset": "0", "length": str(len(data))}.items():
        tensor.external_data.add(key=key, value=value)
    folder.mkdir(parents=True)
    (folder / "m.onnx").write_bytes(model.SerializeToString())
    if location:
        (folder / location).parent.mkdir(parents=True, exist_ok=True)
        (folder / location).write_bytes(data)
    return folder / "m.onnx"


@pytest.mark.parametrize("location", ["w.bin", "sub/w.bin"])
def test_external_data_inside_is_read_and_counted(tmp_path: Path, location: str) -> None:
    path = external(tmp_path / "in", location)
    model = load_model(path)
    assert numpy_helper.to_array(model.graph.initializer[0]).shape == (8, 3, 3, 3)
    assert model_bytes(path) == path.stat().st_size + 864
    before = model_digest(path)
    (path.parent / location).write_bytes(np.ones(216, np.float32).tobytes())
    assert model_digest(path) != before
    save_model(model, tmp_path / "whole.onnx")
    assert len(load_model(tmp_path / "whole.onnx").graph.initializer) == 1


@pytest.mark.parametrize("location", ["../w.bin", "sub/../../w.bin", ""])
def test_external_data_outside_is_refused(tmp_path: Path, location: str) -> None:
    path = external(tmp_path / "in", location)
    assert "outside" in refused(path)
    with pytest.raises(ModelError, match="outside"):
        model_bytes(path)


def test_external_data_at_an_absolute_path_is_refused(tmp_path: Path) -> None:
    assert "outside" in refused(external(tmp_path / "in", str(tmp_path / "w.bin")))


def test_a_link_that_leads_out_is_refused(tmp_path: Path) -> None:
    path = external(tmp_path / "in", "w.bin")
    os.replace(tmp_path / "in" / "w.bin", tmp_path / "secret")
    (tmp_path / "in" / "w.bin").symlink_to(tmp_path / "secret")
    assert "outside" in refused(path)


def test_a_link_to_a_folder_outside_is_refused(tmp_path: Path) -> None:
    path = external(tmp_path / "in", "sub/w.bin")
    os.replace(tmp_path / "in" / "sub", tmp_path / "elsewhere")
    (tmp_path / "in" / "sub").symlink_to(tmp_path / "elsewhere")
    assert "outside" in refused(path)


def test_external_data_in_an_inner_graph_is_refused_too(tmp_path: Path) -> None:
    model = parsed(
        """(bool[1] c, float[1] x) => (float[1] y) {
            y = If (c) <then_branch = g () => (float[1] a) { a = Identity (x) },
                        else_branch = h () => (float[1] b) { b = Identity (x) }> }""",
        {},
    )
    inner = model.graph.node[0].attribute[0].g.initializer.add(name="w", data_type=1, dims=[1])
    inner.data_location = TensorProto.EXTERNAL
    inner.external_data.add(key="location", value="../secret")
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    assert "outside" in refused(tmp_path / "m.onnx")


def test_more_than_two_gigabytes_are_refused_before_they_are_read(tmp_path: Path) -> None:
    path = external(tmp_path / "in", "w.bin")
    os.truncate(tmp_path / "in" / "w.bin", 2**31)  # sparse
    assert "2.1 GB" in refused(path)


def test_missing_and_short_external_data(tmp_path: Path) -> None:
    path = external(tmp_path / "in", "w.bin")
    data = tmp_path / "in" / "w.bin"
    data.write_bytes(data.read_bytes()[:-5])
    refused(path)
    data.unlink()
    assert "does not exist" in refused(path)
    os.mkfifo(data)
    assert "does not exist" in refused(path)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_weights_that_are_no_numbers(tmp_path: Path, bad: float) -> None:
    save_model(conv(bad), tmp_path / "m.onnx")
    message = refused(tmp_path / "m.onnx")
    assert "'w'" in message
    assert "1 NaN or infinite of 216" in message


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.float16])
def test_a_constant_node_that_is_no_number(tmp_path: Path, kind: type[np.generic]) -> None:
    value = numpy_helper.from_array(np.array([np.nan, 1], dtype=kind))
    nodes = [
        helper.make_node("Constant", [], ["c"], value=value),
        helper.make_node("Add", ["x", "c"], ["y"]),
    ]
    model = model_of_nodes(nodes, {"x": [2]}, {"y": [2]}, dtype=value.data_type)
    save_model(model, tmp_path / "m.onnx")
    assert "'c' holds 1 NaN" in refused(tmp_path / "m.onnx")


@pytest.mark.parametrize("shape", [(2,), (2, 2)])
def test_an_attention_mask_may_be_infinite(tmp_path: Path, shape: tuple[int, ...]) -> None:
    mask = np.zeros(shape, np.float32)
    mask[..., 1] = -np.inf
    save_model(
        parsed("(float[2,2] x) => (float[2,2] y) { y = Add (x, m) }", {"m": mask}), tmp_path / "m"
    )
    assert load_model(tmp_path / "m")


def test_operators_that_nobody_knows(tmp_path: Path) -> None:
    for text, said in {
        "y = Foo (x)": "operator Foo (opset 17)",
        "y = my.domain.Foo (x)": "operator my.domain::Foo",
        "y = Gelu (x)": "operator Gelu (opset 17)",
    }.items():
        model = parsed(f"(float[2] x) => (float[2] y) {{ {text} }}", {}, "my.domain")
        save_model(model, tmp_path / "m")
        assert said in refused(tmp_path / "m")


@pytest.mark.parametrize("text", ["y = Add (x, none)", "z = Relu (x)", "y = Relu (x, x)"])
def test_graphs_that_do_not_hold_together(tmp_path: Path, text: str) -> None:
    save_model(parsed(f"(float[2] x) => (float[2] y) {{ {text} }}", {}), tmp_path / "m")
    with pytest.raises(ModelError):
        prepare_model(load_model(tmp_path / "m"))


def test_the_long_name_of_the_standard_operators(tmp_path: Path) -> None:
    text = "(float[1,4] x) => (float[1,4] y) { y = LayerNormalization (x, s) }"
    model = parsed(text, {"s": np.ones(4, np.float32)})
    model.opset_import[0].domain = "ai.onnx"
    for domain in ("", "ai.onnx"):
        model.graph.node[0].domain = domain
        save_model(model, tmp_path / "m")
        prepared = prepare_model(load_model(tmp_path / "m"))
        assert [entry.domain for entry in prepared.opset_import] == [""]
        Session(prepared)


def test_contributed_operators_are_accepted(tmp_path: Path) -> None:
    text = "(float[2] x) => (float[2] y) { y = com.microsoft.Gelu (x) }"
    save_model(parsed(text, {}, "com.microsoft"), tmp_path / "m")
    assert Session(prepare_model(load_model(tmp_path / "m")))


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError):
        save_model(conv(), tmp_path / "file" / "m.onnx")


def dynamic(shape: str) -> ModelProto:
    text = f"(float[{shape}] x) => (float[N,8,P,Q] y) {{ y = Conv (x, w) }}"
    return parsed(text, {"w": np.ones((8, 3, 3, 3), np.float32)})


def test_a_free_batch_becomes_one() -> None:
    model = dynamic("N,3,8,8")
    assert input_shapes_of(model) == {"x": (None, 3, 8, 8)}
    prepared = prepare_model(model)
    assert fixed_input_shapes(prepared) == {"x": (1, 3, 8, 8)}
    assert Graph(prepared).shapes["y"] == (1, 8, 6, 6)


def test_a_free_size_must_be_given() -> None:
    with pytest.raises(ModelError, match=r"'x' has the dynamic shape \?x3x\?x\?") as caught:
        prepare_model(dynamic("N,3,H,W"))
    assert "--size 48x192" in caught.value.hint
    prepared = prepare_model(dynamic("N,3,H,W"), {"x": (1, 3, 10, 12)})
    assert Graph(prepared).shapes["y"] == (1, 8, 8, 10)


@pytest.mark.parametrize("shape", [(1, 3, 8), (1, 4, 8, 8), (1, 3, 9, 8), (1, 3, 8, 8, 1)])
def test_sizes_that_do_not_fit(shape: tuple[int, ...]) -> None:
    with pytest.raises(OptionError, match="does not fit"):
        prepare_model(dynamic("N,3,8,W"), {"x": shape})


def test_a_size_for_an_input_that_is_not_there() -> None:
    with pytest.raises(OptionError, match="no input 'z'"):
        prepare_model(conv(), {"z": (1,)})


def test_an_input_without_a_shape() -> None:
    model = conv()
    model.graph.input[0].type.tensor_type.ClearField("shape")
    with pytest.raises(ModelError, match="no shape"):
        prepare_model(model)
    assert Graph(prepare_model(model, {"x": (1, 3, 5, 5)})).shapes["y"] == (1, 8, 3, 3)


@pytest.mark.parametrize("declared", [[], [1], [1, 8, 7, 7], [9, 9, 9, 9]])
def test_a_wrong_shape_of_an_output_is_corrected(declared: list[int]) -> None:
    model = conv()
    model.graph.output[0].CopyFrom(helper.make_tensor_value_info("y", 1, declared))
    assert Graph(prepare_model(model)).shapes["y"] == (1, 8, 6, 6)


def test_weights_that_are_listed_as_inputs() -> None:
    model = conv()
    model.graph.input.append(helper.make_tensor_value_info("w", 1, [8, 3, 3, 3]))
    prepared = prepare_model(model)
    assert list(fixed_input_shapes(prepared)) == ["x"]
    assert Session(prepared).input_names == ["x"]


def test_batch_normalization_and_constants_are_folded() -> None:
    weights: dict[str, NDArray[np.generic]] = {
        "w": np.random.default_rng(0).standard_normal((4, 3, 1, 1)).astype(np.float32),
        **{name: np.linspace(0.5, 1, 4, dtype=np.float32) for name in "abcd"},
    }
    model = parsed(
        """(float[N,3,4,4] x) => (float[N,64] y) {
            c = Conv (x, w)
            n = BatchNormalization (c, a, b, c_, d)
            s = Shape (n)
            z = Constant <value_int=0> ()
            g = Gather (s, z)
            o = Constant <value_ints=[0]> ()
            u = Unsqueeze (g, o)
            m = Constant <value_ints=[-1]> ()
            t = Concat <axis=0> (u, m)
            y = Reshape (n, t) }""".replace("c_", "c0"),
        {("c0" if name == "c" else name): value for name, value in weights.items()},
    )
    prepared = prepare_model(model)
    assert [node.op_type for node in prepared.graph.node] == ["Conv", "Reshape"]
    x = np.random.default_rng(1).standard_normal((1, 3, 4, 4)).astype(np.float32)
    (expected,), (got,) = Session(model).run({"x": x}), Session(prepared).run({"x": x})
    np.testing.assert_allclose(got, expected, atol=1e-5)
    assert Graph(prepared).shapes["y"] == (1, 64)


def test_feeds_that_do_not_fit() -> None:
    session = Session(conv())
    for feeds in ({}, {"x": np.zeros((1, 3, 9, 9), np.float32)}, {"z": np.zeros(1, np.float32)}):
        with pytest.raises(ModelError, match="cannot run"):
            session.run(feeds)


@pytest.mark.parametrize(
    ("allowed", "asked", "threads"), [("3", 0, 3), ("2,4", 0, 2), ("3", 1, 1), ("", 0, 0)]
)
def test_no_more_threads_than_the_environment_allows(
    allowed: str, asked: int, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", allowed)
    monkeypatch.setattr("os.cpu_count", lambda: 4)
    options = Session(conv(), threads=asked)._session.get_session_options()
    assert options.intra_op_num_threads == threads


def test_shapes_are_inferred_through_16_bit_quantizers() -> None:
    """They are ONNX Runtime's own below opset 21, and ONNX infers nothing behind such a node."""
    text = """(float[1,3,8,8] x) => (float[1,8,6,6] y) <float s = {0.01}, int16 z = {0}> {
        x_q = com.microsoft.QuantizeLinear (x, s, z)
        x_d = com.microsoft.DequantizeLinear (x_q, s, z)
        y = Conv (x_d, w)
    }"""
    weight = np.full((8, 3, 3, 3), 0.5, np.float32)
    model = parsed(text, {"w": weight}, "com.microsoft")
    ready = prepare_model(model)
    assert macs_of(ready) == 8 * 36 * 27
    assert [(one.domain, one.version) for one in ready.opset_import] == [
        ("", 17),
        ("com.microsoft", 1),
    ]
    assert [node.domain for node in ready.graph.node] == ["com.microsoft", "com.microsoft", ""]
    feeds = {"x": np.ones((1, 3, 8, 8), np.float32)}
    np.testing.assert_array_equal(Session(ready).run(feeds)[0], Session(model).run(feeds)[0])


@pytest.mark.parametrize(
    ("shape", "example"),
    [
        ("n,3,h,w", "--size 48x192 or --input x=1x3x48x192"),
        ("n,3,48,w", "--size 48x192 or --input x=1x3x48x192"),
        ("n,h,w,3", "--size 48x192 or --input x=1x48x192x3"),
        ("n,64,h,w", "--input x=1x64x48x192"),
        ("n,t", "--input x=1x100"),
        ("2,t,80", "--input x=2x100x80"),
    ],
)
def test_the_example_of_a_shape_is_of_the_rank_of_the_input(shape: str, example: str) -> None:
    text = f"(float[{shape}] x) => (float[{shape}] y) {{ y = Relu (x) }}"
    with pytest.raises(ModelError, match="no size was given") as caught:
        prepare_model(model_of(text, prepared=False))
    assert caught.value.hint == f"give one, for example {example}"
