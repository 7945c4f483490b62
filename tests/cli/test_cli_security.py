"""Models, samples and manifests come from anywhere: none may read, run, fill or draw anything."""

from __future__ import annotations

import json
import pickle
import resource
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from commands import Ended, Run, in_a_process
from graphs import model_of_nodes
from rockpress.report.formats import format_suffixes

# "clear the screen", and the red of rich
ESCAPE, MARKUP = "a\x1b[2Jb", "[red]c[/red]"


def error_of(done: Ended) -> str:
    code, out, err = done
    told = [line for line in err.splitlines() if not line.startswith("rockpress: ")]
    assert (code, out) == (1, ""), err
    assert [line.split(":")[0] for line in told] == ["error", "hint"]
    return told[0]


# Reading and running


@pytest.mark.parametrize("location", ["../secret", "{absolute}", "link"])
def test_weights_from_outside_the_models_folder(
    location: str, rockpress: Run, small_cnn: Path, image_folder: Path, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(bytes(10_000))
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "link").symlink_to(secret)
    model = onnx.load(small_cnn)
    weight = model.graph.initializer[0]
    weight.ClearField("raw_data")
    weight.data_location = TensorProto.EXTERNAL
    entry_ = weight.external_data.add()
    entry_.key, entry_.value = "location", location.format(absolute=secret)
    (folder / "m.onnx").write_bytes(model.SerializeToString())
    for line in (
        ["inspect", folder / "m.onnx"],
        ["quantize", folder / "m.onnx", "--calib", image_folder, "-o", tmp_path / "q.onnx"],
        ["check", small_cnn, folder / "m.onnx", "--eval", image_folder],
    ):
        assert "outside the model's folder" in error_of(rockpress(*line))


class Trap:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.touch, (self._path,)


@pytest.mark.parametrize("form", ["npy", "npz", "pickle"])
def test_pickled_samples_are_refused_and_not_run(
    form: str, rockpress: Run, small_cnn: Path, tmp_path: Path
) -> None:
    sprung = tmp_path / "sprung"
    objects = np.array([Trap(sprung)], dtype=object)
    path = tmp_path / f"samples.{'npz' if form == 'npz' else 'npy'}"
    if form == "npz":
        np.savez(path, images=objects)
    elif form == "npy":
        np.save(path, objects, allow_pickle=True)
    else:
        path.write_bytes(pickle.dumps(Trap(sprung)))
    line = ["quantize", small_cnn, "--calib", path, "-o", tmp_path / "q.onnx"]
    assert str(path) in error_of(rockpress(*line))
    assert not sprung.exists()


@pytest.mark.parametrize("name", ["../m.onnx", "/etc/hostname", "a/../../m.onnx"])
def test_a_manifest_that_names_files_elsewhere(
    name: str, rockpress: Run, small_cnn: Path, image_folder: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "m.rknn").write_bytes(b"RKNN")
    document = {
        "schema": 1,
        "target": "rk3588",
        "toolkit": "2.5.0",
        "quantization": "float16",
        "files": {"model": name},
        "digests": {"model": "0" * 64},
        "inputs": [{"name": "x", "dtype": "uint8", "layout": "NHWC", "shape": [1, 32, 32, 3]}],
        "outputs": [{"name": "logits", "shape": [1, 10], "dtype": "float32"}],
    }
    (folder / "m.rknn.json").write_text(json.dumps(document))
    line = ["check", small_cnn, folder / "m.rknn", "--eval", image_folder]
    assert f"the manifest names a file elsewhere: {name}" in error_of(rockpress(*line))


# Bombs


def huge_png(path: Path) -> None:
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(bytes(1000))), (b"IEND", b"")]
    content = b"\x89PNG\r\n\x1a\n"
    for kind, data in chunks:
        check = struct.pack(">I", zlib.crc32(kind + data))
        content += struct.pack(">I", len(data)) + kind + data + check
    path.write_bytes(content)


def huge_npz(path: Path) -> None:
    header = str({"descr": "|u1", "fortran_order": False, "shape": (100, 32000, 32000, 1)})
    member = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("images.npy", member + bytes(1000))
    # the directory at the end of the archive says 100 GB, as that of a real bomb would
    with zipfile.ZipFile(path, "a") as archive:
        archive.getinfo("images.npy").file_size = 100 * 2**30
        archive.comment = b"."


@pytest.mark.parametrize(
    ("name", "make"), [("huge.png", huge_png), ("huge.npz", huge_npz)], ids=["png", "npz"]
)
def test_a_bomb_is_refused_before_it_is_unpacked(
    name: str, make: Callable[[Path], None], small_cnn: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "samples"
    folder.mkdir()
    make(folder / name)
    samples = folder / name if name.endswith(".npz") else folder
    line = ["quantize", small_cnn, "--calib", samples, "-o", tmp_path / "q.onnx"]
    limit = 6 * 2**30
    done = in_a_process(
        *line, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    )
    told = error_of(Ended(done.returncode, done.stdout, done.stderr))
    assert f"{name}" in told
    assert "too large" in told or "the limit is" in told


# Terminals


def named_model(path: Path, name: str) -> Path:
    """A convolution whose every name is ``name``, with a weight that is NaN where ``name`` asks."""
    inputs = [f"{name}.x", f"{name}.weight"]
    model = model_of_nodes(
        [helper.make_node("Conv", inputs, [f"{name}.y"], name, pads=[1] * 4)],
        {f"{name}.x": [1, 3, 8, 8]},
        {f"{name}.y": [1, 8, 8, 8]},
        {f"{name}.weight": np.ones((8, 3, 3, 3), np.float32)},
    )
    model.producer_name = name
    onnx.save(model, path)
    return path


def test_names_cannot_draw_on_the_terminal(
    rockpress: Run, image_folder: Path, tmp_path: Path
) -> None:
    folder = tmp_path / ESCAPE
    folder.mkdir()
    model = named_model(folder / "m.onnx", ESCAPE)
    for line in (
        ["inspect", model],
        ["inspect", folder / "missing.onnx"],
        ["check", model, model, "--eval", image_folder, "--json"],
        ["check", model, model, "--eval", folder / "nowhere"],
        ["check", model, model, "--eval", image_folder, "--outputs", ESCAPE],
        ["quantize", model, "--calib", image_folder, "-o", folder / "q.onnx"],
        ["prune", model, "--calib", image_folder, "-o", folder / "p.onnx", "--budget", "macs=-9%"],
        ["run", model, "--calib", image_folder, "--target", ESCAPE],
        ["run", model, "--calib", image_folder, "--metric", ESCAPE],
    ):
        code, out, err = rockpress(*line)
        assert code in (0, 1, 2), err
        assert "\x1b" not in out + err
        assert r"a\x1b[2Jb" in out + err or r"a\u001b[2Jb" in out or "no channels" in err


def test_markup_in_names_is_shown_as_it_is(
    rockpress: Run, image_folder: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "[bold]d[/bold]"
    folder.mkdir(parents=True)
    model = named_model(folder / "m.onnx", MARKUP)
    code, out, err = rockpress("inspect", model)
    assert (code, err) == (0, "")
    assert f"\n{MARKUP} " in out  # in the table of the layers
    assert f"input  {MARKUP}.x 1x3x8x8" in out
    assert out.startswith(str(model))


def test_a_file_name_that_is_not_utf8(rockpress: Run, image_folder: Path, tmp_path: Path) -> None:
    model = named_model(tmp_path / "m.onnx", "plain").rename(tmp_path / "m\udcff.onnx")
    code, out, err = rockpress("inspect", model)
    assert (code, err) == (0, "")
    assert r"m\udcff.onnx" in out
    code, out, err = rockpress("check", model, model, "--eval", image_folder, "--json")
    assert code == 0, err
    assert json.loads(out)["recipe"]["model"] == str(model)


def test_reports_in_several_formats_hold_no_markup_of_others(
    rockpress: Run, image_folder: Path, tmp_path: Path
) -> None:
    model = named_model(tmp_path / "m.onnx", ESCAPE)
    line: list[object] = ["check", model, model, "--eval", image_folder]
    for suffix in format_suffixes():
        line += ["--report", tmp_path / f"r{suffix}"]
    assert rockpress(*line)[0] == 0
    for suffix in format_suffixes():
        text = (tmp_path / f"r{suffix}").read_text()
        assert text and "\x1b" not in text
