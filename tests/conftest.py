"""What several test files need: small models and samples, made in code."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import settings
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from rockpress.cli import main as entry
from rockpress.cli.phrases import command_phrase
from rockpress.core.diagnostics import speaking

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

# The same examples in every run, however slow the machine is.
settings.register_profile("rockpress", deadline=None, derandomize=True)
settings.load_profile("rockpress")


@pytest.fixture(scope="session", autouse=True)
def caches(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder for the caches of this session; the user's own is not touched."""
    folder = tmp_path_factory.mktemp("caches")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ROCKPRESS_CACHE_DIR", str(folder / "session"))
        if sys.dont_write_bytecode:  # else each process compiles all that it imports, for seconds
            patch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
            patch.setenv("PYTHONPYCACHEPREFIX", _of_all_workers(tmp_path_factory, "bytecode"))
        patch.delenv("GITHUB_ACTIONS", raising=False)  # where failed gates are annotated
        yield folder


@pytest.fixture(autouse=True)
def empty_cache(
    caches: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What one test computed must not be what another finds."""
    name = hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:16]
    monkeypatch.setenv("ROCKPRESS_CACHE_DIR", str(caches / name))


@pytest.fixture(scope="session", autouse=True)
def _command_words() -> Iterator[None]:
    """Say options as they are typed, unless a test asks for other words."""
    with speaking(command_phrase):
        yield


@pytest.fixture(scope="session")
def root() -> Path:
    """The folder of the repository, which is that of the package too."""
    return Path(__file__).parents[1]


@pytest.fixture(scope="session")
def pyproject(root: Path) -> dict[str, Any]:
    content: dict[str, Any] = tomllib.loads((root / "pyproject.toml").read_text())
    return content


@pytest.fixture
def rockpress(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Exit code, stdout and stderr of a command, run in this process."""
    monkeypatch.setattr(entry, "catch_signals", lambda: None)  # those of pytest stay

    def call(*args: object) -> tuple[int, str, str]:
        capfd.readouterr()
        monkeypatch.setattr(sys, "argv", ["rockpress", *map(str, args)])
        with pytest.raises(SystemExit) as stop:
            entry.main()
        return (int(stop.value.code or 0), *capfd.readouterr())

    return call


@pytest.fixture
def small_cnn(tmp_path: Path) -> Path:
    """A CNN with a residual and a depthwise block: x 1x3x32x32 -> logits 1x10, seeded weights."""
    path = tmp_path / "small_cnn.onnx"
    onnx.save(_small_cnn(np.random.default_rng(0)), path)
    return path


@pytest.fixture
def wide_cnn(tmp_path: Path) -> Path:
    """The same with six times the channels, so that pruning has what to cut."""
    path = tmp_path / "wide_cnn.onnx"
    onnx.save(_small_cnn(np.random.default_rng(0), width=96), path)
    return path


@pytest.fixture
def image_folder(tmp_path: Path) -> Path:
    """Eight PNG images of 40x36 pixels."""
    folder = tmp_path / "images"
    _write_images(folder, count=8, seed=1)
    return folder


@pytest.fixture
def labelled_folder(tmp_path: Path) -> Path:
    """A folder for each of the classes a, b and c, with four PNG images of 40x36 pixels in each."""
    folder = tmp_path / "labelled"
    for seed, name in enumerate("abc"):
        _write_images(folder / name, count=4, seed=seed)
    return folder


def _write_images(folder: Path, *, count: int, seed: int) -> None:
    folder.mkdir(parents=True)
    random = np.random.default_rng(seed)
    for index in range(count):
        pixels = random.integers(0, 256, (40, 36, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{index}.png")


def _small_cnn(random: np.random.Generator, width: int = 16) -> onnx.ModelProto:
    weights: list[onnx.TensorProto] = []
    nodes: list[onnx.NodeProto] = []

    def weight(name: str, *shape: int) -> str:
        scale = np.sqrt(2 / np.prod(shape[1:])) if len(shape) > 1 else 0.1
        array = (random.standard_normal(shape) * scale).astype(np.float32)
        weights.append(numpy_helper.from_array(array, name))
        return name

    def conv(
        name: str, source: str, shape: tuple[int, int, int, int], stride: int = 1, group: int = 1
    ) -> str:
        inputs = [source, weight(f"{name}.weight", *shape), weight(f"{name}.bias", shape[0])]
        pads = [shape[2] // 2] * 4
        nodes.append(
            helper.make_node(
                "Conv", inputs, [name], name=name, pads=pads, strides=[stride] * 2, group=group
            )
        )
        return name

    def node(operator: str, name: str, *inputs: str, **attributes: Any) -> str:
        nodes.append(helper.make_node(operator, inputs, [name], name=name, **attributes))
        return name

    square = (width, width, 3, 3)
    stem = node("Relu", "stem_relu", conv("stem", "x", (width, 3, 3, 3), stride=2))
    first = node("Relu", "first_relu", conv("first", stem, square))
    merged = node("Add", "add", conv("second", first, square), stem)
    merged = node("Relu", "add_relu", merged)
    depthwise = conv("depthwise", merged, (width, 1, 3, 3), stride=2, group=width)
    depthwise = node("Relu", "depthwise_relu", depthwise)
    pointwise = node(
        "Relu", "pointwise_relu", conv("pointwise", depthwise, (2 * width, width, 1, 1))
    )
    flat = node("Flatten", "flat", node("GlobalAveragePool", "pool", pointwise), axis=1)
    fc = (weight("fc.weight", 10, 2 * width), weight("fc.bias", 10))
    node("Gemm", "logits", flat, *fc, transB=1)

    graph = helper.make_graph(
        nodes,
        "small_cnn",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 32, 32])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, 10])],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    return model


@pytest.fixture(scope="session")
def pages_cache(tmp_path_factory: pytest.TempPathFactory) -> str:
    """One cache for the demo and all pages, also of tests that run beside this process."""
    return _of_all_workers(tmp_path_factory, "pages-cache")


def _of_all_workers(tmp_path_factory: pytest.TempPathFactory, name: str) -> str:
    folder = tmp_path_factory.getbasetemp()
    return str((folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder) / name)


@pytest.fixture(scope="session")
def demo_run(
    tmp_path_factory: pytest.TempPathFactory, pages_cache: str
) -> subprocess.CompletedProcess[str]:
    """One run of ``rockpress demo``, into the folder ``demo`` of its ``cwd``, with report.md."""
    folder = tmp_path_factory.mktemp("demo")
    words = [sys.executable, "-m", "rockpress", "demo", "-o", "demo", "--report", "report.json"]
    done = subprocess.run(
        words,
        cwd=folder,
        env={**os.environ, "ROCKPRESS_CACHE_DIR": pages_cache},
        capture_output=True,
        text=True,
        timeout=900,
    )
    done.args.append(folder)
    return done


@pytest.fixture(scope="session")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the command, for shells."""
    folder = tmp_path_factory.mktemp("tools")
    (folder / "rockpress").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m rockpress "$@"\n')
    (folder / "rockpress").chmod(0o755)
    return folder
