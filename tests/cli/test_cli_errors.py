"""What is wrong with a command, its model or its samples is told in one line, and nothing is left.

Every command is run through the entry point of the program, in this process because a start takes
a second; what a process of its own is needed for is in test_cli_signals.py.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import numpy as np
import onnx
import psutil
import pytest
from onnx import numpy_helper

from commands import Run
from graphs import model_of

COMMANDS = ("run", "prune", "quantize", "convert", "check", "inspect")
WITH_SAMPLES = ("run", "prune", "quantize", "convert", "check")
UNWRITABLE = ("run", "prune", "quantize", "convert")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a test, with the current folder ``cwd`` and the temporary one ``temp``."""
    for name in ("cwd", "temp"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "cwd")
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temp"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temp"))
    return tmp_path


@pytest.fixture
def rockpress(place: Path, rockpress: Run) -> Run:
    return rockpress


@pytest.fixture
def images(place: Path, image_folder: Path) -> Path:
    return image_folder


def tree(folder: Path) -> dict[str, bytes]:
    """Every file and folder below, with its content."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else b""
        for path in sorted(folder.rglob("*"))
    }


def refused(
    call: Run,
    *args: object,
    code: int = 1,
    place: Path,
    hint: bool = True,
    warned: bool = False,
) -> str:
    """Run, require a clean refusal, and return the line that says what is wrong with its hint.

    ``warned`` says that a warning with a hint comes first.
    """
    before = tree(place)
    done = call(*args)
    lines = [line for line in done.err.splitlines() if not line.startswith("rockpress: ")]
    told = [line for line in lines if not line.startswith("log: ")]
    logs = [Path(line.removeprefix("log: ")) for line in lines if line.startswith("log: ")]
    for log in logs:
        log.unlink()
    assert done.code == code, done.err
    assert done.out == ""
    first = ["warning", "hint"] if warned else []
    assert [line.split(":")[0] for line in told] == [*first, "error", "hint"][
        : 1 + hint + 2 * warned
    ]
    assert not [line for line in told if "Traceback" in line or len(line) > 400]
    assert tree(place) == before
    assert not psutil.Process().children(recursive=True)
    return " ".join(told)


def usual(command: str, model: Path, samples: Path, *more: object) -> list[object]:
    """A command line that is right, but perhaps for the model or the samples."""
    out = model.parent / "out"
    arguments: dict[str, list[object]] = {
        "run": [model, "--calib", samples, "-o", out],
        "prune": [model, "--calib", samples, "-o", out / "m.onnx", "--budget", "macs=-30%"],
        "quantize": [model, "--calib", samples, "-o", out / "m.onnx"],
        "convert": [model, "--calib", samples, "-o", out / "m.rknn", "--quantize", "normal"],
        "check": [model, model, "--calib", samples],
        "inspect": [model],
    }
    return [command, *arguments[command], *more]


# Models


def one_node_model(
    operator: str = "Relu",
    shape: tuple[int | str, ...] = (1, 3, 8, 8),
    domain: str = "",
) -> onnx.ModelProto:
    dims, name = ",".join(map(str, shape)), f"{domain}.{operator}" if domain else operator
    text = f"(float[{dims}] x) => (float[{dims}] y) {{ [only] y = {name} (x) }}"
    return model_of(text, domains=[domain] if domain else [], prepared=False)


def _missing(model: Path) -> None:
    model.unlink()


def _folder(model: Path) -> None:
    model.unlink()
    model.mkdir()


def _empty(model: Path) -> None:
    model.write_bytes(b"")


def _truncated(model: Path) -> None:
    model.write_bytes(model.read_bytes()[:-1000])


def _text(model: Path) -> None:
    model.write_text("this is not a model\n")


def _custom_operator(model: Path) -> None:
    onnx.save(one_node_model("Deformable", domain="mmcv"), model)


def _unknown_operator(model: Path) -> None:
    onnx.save(one_node_model("Zigzag"), model)


def _nan(model: Path) -> None:
    loaded = onnx.load(model)
    weight = numpy_helper.to_array(loaded.graph.initializer[0]).copy()
    weight.flat[3] = np.nan
    loaded.graph.initializer[0].CopyFrom(numpy_helper.from_array(weight, "stem.weight"))
    onnx.save(loaded, model)


def _external_data_missing(model: Path) -> None:
    onnx.save(onnx.load(model), model, save_as_external_data=True, location="w", size_threshold=0)
    model.with_name("w").unlink()


BROKEN_MODELS = {
    "does not exist": _missing,
    "is a folder": _folder,
    "(0 bytes)": _empty,
    "is truncated": _truncated,
    "not ONNX": _text,
    "unsupported operator mmcv::Deformable": _custom_operator,
    "unsupported operator Zigzag": _unknown_operator,
    "'stem.weight' holds 1 NaN": _nan,
    "external data cannot be read": _external_data_missing,
}


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("told", BROKEN_MODELS)
def test_a_broken_model(
    told: str, command: str, rockpress: Run, small_cnn: Path, images: Path, place: Path
) -> None:
    BROKEN_MODELS[told](small_cnn)
    seen = refused(rockpress, *usual(command, small_cnn, images), place=place)
    assert told in seen
    assert "small_cnn.onnx" in seen


@pytest.mark.parametrize("command", WITH_SAMPLES)
def test_a_dynamic_input_without_a_size(
    command: str, rockpress: Run, images: Path, place: Path
) -> None:
    model = place / "dynamic.onnx"
    onnx.save(one_node_model(shape=("n", 3, "h", "w")), model)
    seen = refused(rockpress, *usual(command, model, images), place=place)
    assert "input 'x' has the dynamic shape ?x3x?x? and no size was given" in seen
    assert "--size" in seen


@pytest.mark.parametrize("command", ["run", "convert"])
def test_an_operator_that_cannot_be_built(
    command: str, rockpress: Run, images: Path, place: Path
) -> None:
    model = place / "lacking.onnx"
    onnx.save(one_node_model("Bernoulli"), model)
    more = ["--quantize", "off" if command == "run" else "float16"]
    seen = refused(rockpress, *usual(command, model, images, *more), place=place)
    assert "(Bernoulli) draws random numbers" in seen


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (["--outputs", "stemm_relu"], "did you mean stem_relu"),
        (["--input", "y=1x3x32x32"], "its inputs are: x"),
        (["--input", "x=1x3x64x64"], "1x3x32x32, which does not fit 1x3x64x64"),
        (["--input", "x=3x32"], "1x3x32x32, which does not fit 3x32"),
        (["--size", "48x48"], "1x3x32x32, which does not fit 1x3x48x48"),
        (["--color", "gray"], "--color gray does not fit the model's 3 input channel"),
        (["--mean", "1,2"], "--mean has 2 values"),
        (["--std", "1,2,3,4"], "--std has 4 values"),
        (["--pad", "7"], "--pad 7"),
    ],
    ids=str,
)
@pytest.mark.parametrize("command", ["run", "quantize"])
def test_options_that_do_not_fit_the_model(
    more: list[str],
    told: str,
    command: str,
    rockpress: Run,
    small_cnn: Path,
    images: Path,
    place: Path,
) -> None:
    line = usual(command, small_cnn, images, *more)
    assert told in refused(rockpress, *line, code=2, place=place)


# Samples


def _no_images(folder: Path) -> Path:
    for file in folder.iterdir():
        file.unlink()
    return folder


def _gone(folder: Path) -> Path:
    shutil.rmtree(folder)
    return folder


def _truncated_image(folder: Path) -> Path:
    file = folder / "0.png"
    file.write_bytes(file.read_bytes()[:200])
    return folder


def _a_truncated_image_further_on(folder: Path) -> Path:
    file = folder / "5.png"
    file.write_bytes(file.read_bytes()[:200])
    return folder


def _text_image(folder: Path) -> Path:
    (folder / "0.png").write_text("not an image")
    return folder


def _list_with_a_missing_file(folder: Path) -> Path:
    path = folder / "list.txt"
    path.write_text("0.png\nnot here.png\n")
    return path


def _list_with_two_inputs(folder: Path) -> Path:
    path = folder / "list.txt"
    path.write_text("0.png 1.png\n")
    return path


def _empty_list(folder: Path) -> Path:
    path = folder / "list.txt"
    path.write_text("# nothing\n\n")
    return path


def _samples_of_another_shape(folder: Path) -> Path:
    path = folder / "samples.npy"
    np.save(path, np.zeros((8, 3, 16, 16), np.float32))
    return path


def _samples_with_nan(folder: Path) -> Path:
    path = folder / "samples.npz"
    np.savez(path, x=np.full((8, 3, 32, 32), np.nan, np.float32))
    return path


def _other_names(folder: Path) -> Path:
    path = folder / "samples.npz"
    np.savez(path, a=np.zeros((2, 3), np.float32), b=np.zeros((2, 3), np.float32))
    return path


def _truncated_npz(folder: Path) -> Path:
    path = folder / "samples.npz"
    np.savez(path, x=np.zeros((8, 3, 32, 32), np.float32))
    path.write_bytes(path.read_bytes()[:-100])
    return path


def _a_model(folder: Path) -> Path:
    return folder.parent / "small_cnn.onnx"


BROKEN_SAMPLES = {
    "images: the folder holds no images": _no_images,
    "images: the samples do not exist": _gone,
    "0.png: the image cannot be decoded": _truncated_image,
    "5.png: the image cannot be decoded": _a_truncated_image_further_on,
    "it is none of the known formats": _text_image,
    "list.txt:2: there is no file 'not here.png'": _list_with_a_missing_file,
    "list.txt:1: several inputs on a line": _list_with_two_inputs,
    "list.txt: the list holds no files": _empty_list,
    "the shape (3, 16, 16), but input 'x' takes (1, 3, 32, 32)": _samples_of_another_shape,
    "NaN or infinite values": _samples_with_nan,
    "holds the arrays a, b, but the model's inputs are x": _other_names,
    "samples.npz: the array file is corrupt": _truncated_npz,
    "small_cnn.onnx: this is not a kind of samples": _a_model,
}


@pytest.mark.parametrize("command", WITH_SAMPLES)
@pytest.mark.parametrize("told", BROKEN_SAMPLES)
def test_broken_samples(
    told: str, command: str, rockpress: Run, small_cnn: Path, images: Path, place: Path
) -> None:
    samples = BROKEN_SAMPLES[told](images)
    assert told in refused(rockpress, *usual(command, small_cnn, samples), place=place)


def test_a_list_with_a_path_with_a_space(
    rockpress: Run, small_cnn: Path, images: Path, place: Path
) -> None:
    (images / "0.png").rename(images / "a b.png")
    (images / "list.txt").write_text("a b.png\n1.png\n")
    done = rockpress(*usual("quantize", small_cnn, images / "list.txt"))
    assert done.code == 0 and done.err.startswith("rockpress: quantize\nwarning: 2 samples are few")
    assert "on 2 calibration samples" in done.out


def labelled(place: Path, labels: list[int], images: int = 4) -> Path:
    path = place / "labelled.npz"
    np.savez(path, images=np.zeros((images, 32, 32, 3), np.uint8), labels=np.array(labels))
    return path


@pytest.mark.parametrize("command", ["run", "check"])
@pytest.mark.parametrize(
    ("labels", "told"),
    [
        ([0, 1, 2, 12], "the labels range from 0 to 12, but the model has 10 classes (0 to 9)"),
        ([0, 1, 2], "3 labels for 4 samples"),
        ([0, 1, 2, -1], "the labels range from -1 to 2"),
    ],
)
def test_labels_that_do_not_fit(
    labels: list[int],
    told: str,
    command: str,
    rockpress: Run,
    small_cnn: Path,
    images: Path,
    place: Path,
) -> None:
    line = usual(command, small_cnn, images, "--eval", labelled(place, labels))
    seen = refused(rockpress, *line, place=place)
    assert "labelled.npz: " in seen
    assert told in seen


# Targets, budgets and gates


@pytest.mark.parametrize("command", ["run", "prune", "quantize", "convert", "inspect"])
def test_an_unknown_target(
    command: str, rockpress: Run, small_cnn: Path, images: Path, place: Path
) -> None:
    line = usual(command, small_cnn, images, "--target", "rk3858")
    seen = refused(rockpress, *line, code=2, place=place)
    assert "unknown target 'rk3858'" in seen
    assert "did you mean --target rk3588?" in seen


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (["--min-retention", "0.9"], "--min-retention 0.9 cannot be checked without labelled"),
        (["--prune", "cycles=30"], "the budget 'cycles=30'"),
        (["--prune", "speed=-30%"], "'speed=-30%'"),
        (["--prune", "cycles=-100%"], "'cycles=-100%'"),
        (["--prune", "cycles=-0%"], "'cycles=-0%'"),
        (["--prune", "macs=-99.9%"], "out of reach"),
        (["--prune", "latency=-9%", "--target", "rv1106"], "no latency in milliseconds for rv1106"),
        (["--prune", "macs=-9%", "--keep", "nothing*"], "'nothing*' names no channels"),
        (["--metric", "top-nine"], "the metric 'top-nine' is not known"),
        (["--metric", "no.such:thing"], "'no.such:thing' cannot be imported"),
        (["--metric", "os:sep"], "'os:sep'"),
        (["--target", "rv1106", "--max-latency-ms", "5"], "there is no latency in milliseconds"),
        (["--target", "rv1106", "--quantize", "off"], "rv1106 has no float16"),
        (["--target", "rk2118"], "rk2118 has no w8a8"),
        (["--max-size-mb", "0"], "--max-size-mb"),
    ],
    ids=str,
)
def test_requests_that_the_chip_cannot_meet_are_refused(
    more: list[str], told: str, rockpress: Run, small_cnn: Path, images: Path, place: Path
) -> None:
    line = usual("run", small_cnn, images, *more)
    seen = refused(rockpress, *line, code=2, place=place)
    assert told in seen


@pytest.mark.parametrize(
    "more",
    [
        ["--target", "rv1106", "--max-latency-ms", "5"],
        ["--prune", "macs=-9%", "--only", "nothing*"],
        ["--sparsity", "2:4", "--target", "rk3576", "--keep", "nothing*"],
    ],
    ids=str,
)
@pytest.mark.parametrize("dry_run", [[], ["--dry-run"]])
def test_impossible_requests_are_found_before_anything_runs(
    more: list[str], dry_run: list[str], rockpress: Run, small_cnn: Path, images: Path, place: Path
) -> None:
    done = rockpress(*usual("run", small_cnn, images, *more, *dry_run))
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("error: ")  # and no stage before it


def test_a_retention_gate_on_an_unlabelled_set(
    rockpress: Run, small_cnn: Path, images: Path, place: Path
) -> None:
    more = ["--eval", images, "--min-retention", "0.9"]
    for command in ("run", "check"):
        line = usual(command, small_cnn, images, *more)
        seen = refused(rockpress, *line, code=2, place=place)
        assert "--min-retention 0.9 cannot be checked" in seen
        assert "images" in seen


def test_no_samples_at_all(rockpress: Run, small_cnn: Path, place: Path) -> None:
    out = place / "out"
    for line, told in (
        (["run", small_cnn, "-o", out], "quantization needs calibration samples"),
        (["run", small_cnn, "-o", out, "--quantize", "off"], "no samples to compare"),
        (["quantize", small_cnn, "-o", out / "m.onnx"], "needs calibration samples"),
        (["prune", small_cnn, "-o", out / "m.onnx"], "--prune cycles=-30%"),
        (["convert", small_cnn, "-o", out / "m.rknn", "--quantize", "mmse"], "calibration samples"),
        (["check", small_cnn, small_cnn], "no samples to compare"),
    ):
        assert told in refused(rockpress, *line, code=2, place=place)


# Outputs


@pytest.mark.parametrize("command", UNWRITABLE)
def test_an_output_that_cannot_be_written(
    command: str, rockpress: Run, small_cnn: Path, images: Path, place: Path
) -> None:
    file = place / "file.txt"
    file.write_text("a file\n")
    names = {"run": "", "convert": "m.rknn"}
    out = file / "out" / names.get(command, "m.onnx")
    seen = refused(rockpress, *usual(command, small_cnn, images, "-o", out), place=place)
    assert f"cannot make the folder {file}" in seen
    assert f": {file} is a file" in seen


@pytest.mark.parametrize("command", ["prune", "quantize", "convert"])
@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("folder{suffix}", "is a folder"),
        ("small_cnn{suffix}", "would replace the model that is read"),
        ("model.bin", "does not end in {suffix}"),
        ("model", "does not end in {suffix}"),
    ],
)
def test_an_output_that_should_not_be(
    name: str,
    told: str,
    command: str,
    rockpress: Run,
    small_cnn: Path,
    images: Path,
    place: Path,
) -> None:
    suffix = ".rknn" if command == "convert" else ".onnx"
    (place / f"folder{suffix}").mkdir()
    model = small_cnn.rename(place / f"small_cnn{suffix}")
    output = place / name.format(suffix=suffix)
    line = usual(command, model, images, "-o", output)
    assert told.format(suffix=suffix) in refused(rockpress, *line, code=2, place=place)


def test_a_report_that_cannot_be_written(
    rockpress: Run, small_cnn: Path, images: Path, place: Path
) -> None:
    (place / "file.txt").write_text("a file\n")
    report = place / "file.txt" / "report.md"
    line = usual("check", small_cnn, images, "--report", report)
    assert "file.txt" in refused(rockpress, *line, place=place)


@pytest.mark.parametrize(
    "more",
    [
        ["--calib", "nowhere"],
        ["--target", "rk1"],
        ["--prune", "macs=-99.9%"],  # found when the references are built
    ],
    ids=str,
)
def test_a_failing_run_leaves_old_results_alone(
    more: list[str], rockpress: Run, small_cnn: Path, images: Path, place: Path
) -> None:
    folder = place / "out" / "rk3588"
    folder.mkdir(parents=True)
    for name in ("small_cnn.rknn", "small_cnn.rknn.json", "../report.json"):
        (folder / name).write_text("of an earlier run")
    code = 2 if more[0] in ("--prune", "--target") else 1
    refused(rockpress, *usual("run", small_cnn, images, *more), code=code, place=place)


# Usage


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (["run"], "error: MODEL|RECIPE.toml is missing\nhint: such as rockpress run"),
        (
            ["run", "m.onnx", "--callib", "x"],
            "--callib of rockpress run\nhint: did you mean --calib?",
        ),
        (["run", "m.onnx", "--explain"], "hint: it is of quantize\n"),
        (["run", "m.onnx", "--dataset", "x"], "hint: did you mean --calib?\n"),
        (["run", "m.onnx", "--size", "32"], "hint: did you mean --size 32x32?\n"),
        (
            ["run", "m.onnx", "--quiet=1"],
            "error: --quiet takes no value\nhint: rockpress run --help",
        ),
        (["run", "m.onnx", "--mean", "1", "2", "3"], "hint: write a list with commas"),
        (["run", "m.onnx", "--seed"], "error: --seed needs a value\nhint: rockpress run --help"),
        (["quantize", "m.onnx"], "error: -o FILE is missing"),
        (["quantize", "m.onnx", "-o", "x.onnx", "--scheme", "w2a2"], "'w2a2' is not"),
        (["convert", "m.onnx", "-o", "x.rknn", "--target", "rk3588", "--target", "rk3566"], "chip"),
        (["check", "m.onnx"], "error: CANDIDATE is missing"),
        (["m.onnx"], "hint: did you mean rockpress run m.onnx? there are"),
        (["build/m.rknn"], "hint: did you mean rockpress inspect build/m.rknn? there are"),
        (["compare", ""], "error: one of the words is empty\nhint: check the variable"),
        (["run", ""], "error: one of the words is empty\nhint: check the variable"),
        (["run", "m.onnx", "--calib", ""], "error: --calib: '' is not a path"),
        (
            ["run", "m.onnx", "--outputs", "a", "--outputs", "a"],
            "error: --outputs a,a is not a list of texts, each once",
        ),
        (["inspect", "a.onnx", "b.onnx"], "error: b.onnx: rockpress inspect does not take"),
    ],
    ids=str,
)
def test_wrong_usage(args: list[str], told: str, rockpress: Run, place: Path) -> None:
    done = rockpress(*args)
    assert (done.code, done.out) == (2, "")
    assert told in done.err
    assert done.err.startswith("error: ")
    assert "Usage" not in done.err
    assert len(done.err.splitlines()) <= 2
    assert os.listdir(place / "cwd") == []


def test_a_long_path_is_told_by_its_ends(rockpress: Run, place: Path) -> None:
    path = Path(*["folder"] * 300, "m.onnx")
    told = refused(rockpress, "inspect", path, place=place)
    assert told.startswith("error: folder/folder/")
    assert "folder/m.onnx: the model file does not exist" in told.splitlines()[0]
    assert len(told.splitlines()[0]) < 300
