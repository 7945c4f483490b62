"""What every command gives when all is well, with the real toolkit and small models."""

from __future__ import annotations

import csv
import json
import os
import pty
import re
import runpy
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from commands import COMMAND, Ended, Run, in_a_process
from graphs import model_of
from rockpress.report.documents.document import comparable
from rockpress.report.documents.report_reader import read_report
from terminals import read_all

pytestmark = pytest.mark.toolkit

DOCUMENT = {"schema", "verdict", "tool", "toolkit", "recipe", "next", "targets"}
OF_A_TARGET = {
    "target",
    "models",
    "retention",
    "ratios",
    "pruning",
    "quantization",
    "gates",
    "warnings",
    "stages",
    "feed",
    "error",
}
COMPUTED = {"parts", "graph", "layers", "reference_layers", "examples", "details", "drift"}
OF_A_MODEL = {
    *("stage", "path", "bytes", "parameters", "macs", "latency", "accuracy", "throughput"),
    "memory",
}
LATENCY = {"kind", "ms", "low", "high", "cycles"}
ACCURACY = {"metric", "value", "low", "high", "samples", "runner"}
RETENTION = {
    *("metric", "value", "low", "high", "samples", "agreement", "sqnr_db", "outputs"),
    *("difference", "difference_low", "difference_high", "mcnemar"),
}
RATIOS = {"size", "latency", "cycles", "macs", "latency_low", "latency_high"}
PRUNING = {
    *("cycles_ratio", "latency_ratio", "latency_low", "latency_high"),
    "macs_ratio",
    "parameters_ratio",
    "budget",
    "predicted_ratio",
    "measure",
    "curve",
    "groups",
    "blocks",
    "attempts",
    "choice",
    "sparsity",
    "distillation",
    "unseen",
}

NUMBER = re.compile(r"[-+]?\d[\d,]*(?:\.\d+)?")
# The host's own speed, the rule under the headings, which is as wide as the numbers, and which of
# two quantizations that are alike was kept, and so comes first.
UNSTEADY = re.compile(r"host \d+\.\d+ ms|─+|(?<=quantized by ).*")


def document_of(done: Ended) -> dict[str, Any]:
    code, out, err = done
    assert code == 0, err
    document: dict[str, Any] = json.loads(out)
    return document


# The demo, the document, and a gate that fails


@pytest.mark.usefixtures("demo_run")  # its baseline and its reference are those of this run
def test_a_gate_that_fails_exits_with_4_and_leaves_the_report(
    tmp_path: Path, pages_cache: str
) -> None:
    more = ["--min-retention", "1.01", "--json", "--report", "more/report.md", "--quiet"]
    more += ["--report", "more/report.html"]
    line = ["demo", "--prune", "off", "-o", "out", *more]
    cache = {**os.environ, "ROCKPRESS_CACHE_DIR": pages_cache}
    done = in_a_process(*line, cwd=tmp_path, env=cache)
    assert done.returncode == 4, done.stderr
    document = json.loads(done.stdout)
    assert document["verdict"] == "fail"
    assert (tmp_path / "out" / "report.json").read_text() == done.stdout
    target = document["targets"][0]
    assert target["pruning"] is None
    gate = target["gates"][0]
    assert (gate["name"], gate["limit"], gate["pass"]) == ("min-retention", 1.01, False)
    assert 0.95 < gate["value"] < 1.01
    told = [line for line in done.stderr.splitlines() if "warning: " not in line]
    assert [
        line for line in told if not line.startswith(("hint: ", "::error"))
    ] == []  # it is quiet
    text = (tmp_path / "more" / "report.md").read_text()
    assert text.startswith("# rockpress: ❌ FAIL\n\nFAIL rk3588: min-retention 101% does not hold;")
    assert "| model | size |" in text
    assert "| min-retention | 101% |" in text and "does not hold" in text
    page = (tmp_path / "more" / "report.html").read_text()
    for part in ("✗ FAIL", "limit 101%", "Where the milliseconds go", "Class by class"):
        assert part in page
    # the samples that flipped, as pictures; the document has none
    assert page.count("<img ") == len(target["examples"]["worst"]) > 0
    assert "data:image" not in done.stdout


def words_and_numbers(text: str) -> tuple[list[str], list[float]]:
    steady = UNSTEADY.sub("", text)
    numbers = [float(one.replace(",", "")) for one in NUMBER.findall(steady)]
    return NUMBER.sub("#", steady).split(), numbers


def test_the_picture_in_the_readme_is_what_the_demo_shows(
    demo_run: subprocess.CompletedProcess[str],
    root: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Other processors round otherwise in the last bits, so numbers may be off a little."""
    assert "(docs/screen.svg)" in (root / "README.md").read_text()
    script = runpy.run_path(str(root / "docs" / "screen_picture.py"))
    # where it says that the files are
    (tmp_path / "build").mkdir()
    (tmp_path / "build" / "demo").symlink_to(demo_run.args[-1] / "demo")
    monkeypatch.chdir(tmp_path)
    report = read_report(json.loads((demo_run.args[-1] / "report.json").read_text()))
    new = script["picture"](script["shown"](report))
    committed = (root / "docs" / "screen.svg").read_text()
    assert "://" not in committed.replace("http://www.w3.org/2000/svg", "").split("-->")[1]
    shown, drawn = (words_and_numbers(words_of_picture(svg)) for svg in (committed, new))
    assert shown[0] == drawn[0]
    for one, other in zip(shown[1], drawn[1], strict=True):
        assert abs(one - other) <= max(0.03 * abs(other), 0.02 if abs(other) < 2 else 1.5)


def words_of_picture(svg: str) -> str:
    lines = re.findall("<text[^>]*>(.*?)</text>", svg)
    return unescape("\n".join(lines)).replace("\xa0", " ")


def test_the_files_of_a_run(demo_run: subprocess.CompletedProcess[str]) -> None:
    folder = demo_run.args[-1]
    stem = "demo/rk3588/fashion_mnist_cnn"
    suffixes = (".rknn", ".rknn.json", ".intended.onnx", ".plan.toml", ".pruned.onnx")
    names = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    reports = {"report.json", "demo/report.json"}
    programs = {name for name in names if name.startswith(f"{stem}-board/")}
    assert {f"{stem}-board/{name}" for name in ("README.md", "main.py", "main.c")} <= programs
    assert names - programs == reports | {stem + suffix for suffix in suffixes}
    assert len({(folder / name).read_text() for name in reports}) == 1


def test_the_keys_of_the_document(demo_run: subprocess.CompletedProcess[str]) -> None:
    document = json.loads((demo_run.args[-1] / "report.json").read_text())
    assert set(document) | {"next"} == DOCUMENT  # there may be nothing worth doing
    target = document["targets"][0]
    assert set(target) - COMPUTED == OF_A_TARGET
    assert set(target) & COMPUTED == COMPUTED
    rows = sorted(row for node in target["graph"] for row in node["layers"])
    assert rows == [layer["index"] for layer in target["layers"]]
    assert all(node["sqnr_db"] > 20 for node in target["graph"] if "sqnr_db" in node)
    stages = [model["stage"] for model in target["models"]]
    assert stages == [
        "baseline",
        "reference-float16",
        "reference-int8",
        "pruned",
        "quantized",
        "rknn",
    ]
    for model in target["models"]:
        assert set(model) == OF_A_MODEL
        assert all(set(latency) - {"program"} == LATENCY for latency in model["latency"])
        assert model["accuracy"] is None or set(model["accuracy"]) == ACCURACY
    forms = [row for row in target["drift"] if row["layer"] is None]
    assert [row["stage"] for row in forms] == ["pruned", "quantized", "rknn"]
    assert forms[-1]["sqnr_db"] == target["retention"]["sqnr_db"]
    assert sum(row["stage"] == "quantized" for row in target["drift"]) == 1 + 5
    assert set(target["retention"]) == RETENTION
    assert set(target["ratios"]) == RATIOS
    assert set(target["pruning"]) == PRUNING
    assert target["pruning"]["cycles_ratio"] <= 0.6
    figures = target["quantization"]
    assert figures["method"] in figures["candidates"]
    assert figures["held_out"] == 24
    assert all(set(gate) == {"name", "limit", "value", "pass"} for gate in target["gates"])
    assert all(set(warning) == {"code", "text", "hint"} for warning in target["warnings"])
    assert all(set(stage) == {"name", "status", "seconds"} for stage in target["stages"])
    runners = [model["accuracy"] and model["accuracy"]["runner"] for model in target["models"]]
    assert runners == ["onnxruntime", None, None, "onnxruntime", "onnxruntime", "rknn-simulator"]


# Single commands, by hand


@pytest.fixture(scope="session")
def by_hand(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundled model through quantize and convert, one command after the other."""
    from rockpress.calibration_data.bundled import CALIBRATION, MODEL, sample_path

    folder = tmp_path_factory.mktemp("by hand")
    feed = ["--mean", "73", "--std", "90"]
    calib = ["--calib", sample_path(CALIBRATION), "--calib-count", "64"]
    for line in (
        ["quantize", sample_path(MODEL), *calib, *feed, "-o", "q.onnx"],
        ["convert", "q.onnx", *feed, "-o", "out/m.rknn"],
    ):
        done = in_a_process(*line, cwd=folder)
        assert done.returncode == 0, done.stderr
    return folder


def labelled_test(*more: object) -> list[object]:
    from rockpress.calibration_data.bundled import TEST, sample_path

    return ["--eval", sample_path(TEST), "--eval-count", 200, "--mean", 73, "--std", 90, *more]


def bundled_model() -> Path:
    from rockpress.calibration_data.bundled import MODEL, sample_path

    return sample_path(MODEL)


def test_check_of_an_rknn(by_hand: Path, rockpress: Run) -> None:
    line = ["check", bundled_model(), by_hand / "out" / "m.rknn", *labelled_test()]
    target = document_of(rockpress(*line, "--min-retention", 0.95, "--json"))["targets"][0]
    assert target["target"] == "rk3588"
    base, rknn = target["models"]
    assert (base["stage"], rknn["stage"]) == ("baseline", "rknn")
    assert rknn["accuracy"]["runner"] == "rknn-simulator"
    assert rknn["latency"][0]["kind"] == "npu-estimate"
    assert rknn["bytes"] == (by_hand / "out" / "m.rknn").stat().st_size
    assert target["retention"]["value"] > 0.95
    assert target["retention"]["sqnr_db"] > 18


def test_check_at_the_scale_of_a_build_that_ran(
    by_hand: Path, rockpress: Run, tmp_path: Path
) -> None:
    built, old = by_hand / "out" / "m.rknn", tmp_path / "old.rknn"
    for suffix in ("", ".json"):
        shutil.copy(f"{built}{suffix}", f"{old}{suffix}")
    limits = ["--measured", f"{old}=3", "--max-latency-ms", 3.2, "--confidence", "lower"]
    code, out, _ = rockpress("check", bundled_model(), built, *labelled_test(), *limits)
    assert code == 4
    assert out.startswith("FAIL rk3588: max-latency-ms 3.2 does not hold: ")
    assert "high end of its interval)" in out.splitlines()[0]
    assert "latency of rknn: 3.00 ms (90 % of models within " in out
    code, out, err = rockpress(
        "check", bundled_model(), by_hand / "q.onnx", *labelled_test(), *limits
    )
    assert (code, out) == (2, "")
    assert "scales the estimate of a .rknn, and the candidate is an ONNX model" in err


def test_check_of_the_build_that_ran(by_hand: Path, rockpress: Run) -> None:
    built = by_hand / "out" / "m.rknn"
    limits = ["--measured", f"{built}=3", "--max-latency-ms", 3.2, "--confidence", "lower"]
    code, out, _ = rockpress("check", bundled_model(), built, *labelled_test(), *limits)
    assert code == 0
    assert out.startswith("PASS rk3588: ")
    assert " measured, by you, " in out.splitlines()[0]
    assert "latency of rknn: 3.00 ms measured, by you\n" in out


def test_check_of_a_quantized_onnx(by_hand: Path, rockpress: Run, tmp_path: Path) -> None:
    line = ["check", bundled_model(), by_hand / "q.onnx", *labelled_test()]
    done = rockpress(*line, "--json", "--report", tmp_path / "r.json")
    target = document_of(done)["targets"][0]
    assert (tmp_path / "r.json").read_text() == done[1]
    assert target["target"] is None
    assert [model["stage"] for model in target["models"]] == ["baseline", "quantized"]
    assert target["retention"]["value"] > 0.95
    assert set(target) & COMPUTED == {"examples", "details", "parts"}


def test_check_of_a_model_with_itself(rockpress: Run) -> None:
    code, out, err = rockpress("check", bundled_model(), bundled_model(), *labelled_test())
    assert (code, err) == (0, "rockpress: baseline\nrockpress: candidate\n")
    assert "retention 100.0%" in out
    assert "agreement with the baseline 100.0% (98.1 to 100.0%), SQNR to it infinite" in out


@pytest.mark.parametrize("name", ["m.prepared.onnx", "m.rknn.json", "m.rknn"])
@pytest.mark.parametrize("change", ["missing", "changed"])
def test_check_of_an_rknn_whose_files_are_not_its_own(
    name: str, change: str, by_hand: Path, rockpress: Run, tmp_path: Path
) -> None:
    if (name, change) == ("m.rknn", "changed"):
        pytest.skip("the .rknn itself is not reproducible, so nothing rests on its bytes")
    folder = tmp_path / "out"
    shutil.copytree(by_hand / "out", folder)
    if change == "missing":
        (folder / name).unlink()
    else:
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[:-10] + b"x" * 10)
    line = ["check", bundled_model(), folder / "m.rknn", *labelled_test()]
    code, out, err = rockpress(*line)
    told = err.splitlines()
    assert (code, out, len(told)) == (1, "", 2)
    assert told[0].startswith(f"error: {folder / name}: ")
    assert told[1].startswith("hint: ")


def test_check_with_another_preprocess(by_hand: Path, rockpress: Run) -> None:
    line = ["check", bundled_model(), by_hand / "out" / "m.rknn", *labelled_test("--mean", 70)]
    code, out, err = rockpress(*line)
    assert (code, out) == (2, "")
    assert "was built for mean 73, but the samples give 70" in err


def test_inspect_of_an_rknn(by_hand: Path, rockpress: Run) -> None:
    code, out, _ = rockpress("inspect", by_hand / "out" / "m.rknn")
    assert code == 0
    assert "feed   image 1x28x28x1 uint8 NHWC gray resize stretch mean 73 and std 90 inside" in out
    assert "output logits 1x10" in out
    assert re.search(r"^memory .* for feature maps, .* for weights$", out, re.MULTILINE)
    facts = document_of(rockpress("inspect", by_hand / "out" / "m.rknn", "--json"))
    assert facts["inputs"][0]["mean"] == [73.0]


def test_mean_and_std_alone_make_an_rknn_that_takes_pixels(
    small_cnn: Path, rockpress: Run, tmp_path: Path
) -> None:
    out = tmp_path / "m.rknn"
    assert rockpress("convert", small_cnn, "-o", out, "--mean", 127.5, "--std", 127.5)[0] == 0
    feed = json.loads(out.with_name("m.rknn.json").read_text())["inputs"][0]
    assert (feed["dtype"], feed["layout"], feed["shape"]) == ("uint8", "NHWC", [1, 32, 32, 3])
    assert feed["mean"] == [127.5] * 3


def test_prune_by_hand(small_cnn: Path, image_folder: Path, rockpress: Run, tmp_path: Path) -> None:
    line = ["prune", small_cnn, "--calib", image_folder, "-o", tmp_path / "p.onnx"]
    code, out, err = rockpress(*line, "--budget", "macs=-30%")
    warning, _, hint = err.removeprefix("rockpress: prune\n").partition("\n")
    assert code == 0 and warning.endswith(" by heart [pruning-few-samples]")
    assert hint == "hint: give a hundred or more with --calib and --calib-count\n"
    assert f"\n{tmp_path / 'p.onnx'}\n" in out and out.startswith("no gate: the outputs are alive")
    found = re.search(r"^MACs -(\d+\.\d)%$", out, re.MULTILINE)
    assert found
    assert float(found[1]) >= 30
    assert "agreement at least" in out
    more = ["--keep", "stem", "--criterion", "wanda", "--json"]
    result = document_of(rockpress(*line, "--budget", "macs=-30%", *more))
    assert result["macs_after"] < 0.7 * result["macs_before"]
    assert all("stem" not in group["layers"] for group in result["groups"])
    assert {"sensitivity", "saved", "error"} <= set(result["groups"][0])


def test_prune_as_far_as_the_outputs_hold(
    small_cnn: Path, image_folder: Path, rockpress: Run, tmp_path: Path
) -> None:
    line = ["prune", small_cnn, "--calib", image_folder, "-o", tmp_path / "p.onnx"]
    code, _, err = rockpress(*line, "--max-drop", "0.5")
    assert code == 2
    assert "--max-drop needs at least 16 calibration samples" in err
    for number in range(8, 16):
        source = image_folder / f"{number - 8}.png"
        (image_folder / f"{number}.png").write_bytes(source.read_bytes())
    line += ["--max-drop", "0.5"]
    narrow = ["--budget", "latency=-40%", "--only", "first"]
    assert "no cut saves any latency" in rockpress(*line, *narrow)[2]
    result = document_of(rockpress(*line, "--budget", "macs=-40%", "--json"))
    assert any(one["retention"] >= 0.5 for one in result["attempts"])
    assert result["cost_after"] < result["cost_before"]


def test_inspect_of_an_onnx(small_cnn: Path, rockpress: Run) -> None:
    code, out, err = rockpress("inspect", small_cnn)
    assert (code, err) == (0, "")
    assert "input  x 1x3x32x32" in out
    assert "output logits 1x10" in out
    assert document_of(rockpress("inspect", small_cnn, "--json"))["inputs"] == {"x": [1, 3, 32, 32]}


# The whole chain on a small model


def test_two_runs_give_the_same_document(
    small_cnn: Path, labelled_folder: Path, rockpress: Run, tmp_path: Path
) -> None:
    line = ["run", small_cnn, "--calib", labelled_folder, "--eval", labelled_folder]
    line += ["-o", tmp_path / "out", "--json"]
    first = document_of(rockpress(*line))
    again = document_of(rockpress(*line, "--force"))
    assert comparable(first) == comparable(again)
    # random weights are right by chance, if at all; but there are labels
    assert first["targets"][0]["retention"]["metric"] == "top1"
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"report.json", "rk3588"}


def test_two_targets_without_labels_in_float16(
    small_cnn: Path, image_folder: Path, rockpress: Run, tmp_path: Path
) -> None:
    line = ["run", small_cnn, "--calib", image_folder, "--quantize", "off", "-o", tmp_path / "out"]
    targets = ["--target", "rk3588", "--target", "RK3566", "--target", "rk3588"]
    code, out, err = rockpress(*line, *targets)
    assert code == 0, err
    unknown = r"no labels, so (its accuracy is unknown|no accuracy)|labelled samples tell .*"
    assert "accuracy" not in re.sub(unknown, "", out)
    assert [line.partition(":")[0] for line in out.splitlines()[:2]] == [
        *("no gate rk3588", "no gate rk3566"),
    ]
    assert "rockpress: rk3566: convert (6 of 7)\n" in err
    document = json.loads((tmp_path / "out" / "report.json").read_text())
    assert [one["target"] for one in document["targets"]] == ["rk3588", "rk3566"]
    for one in document["targets"]:
        assert one["retention"]["value"] is None
        assert one["retention"]["metric"] is None
        assert one["retention"]["sqnr_db"] > 30
        assert {model["accuracy"] for model in one["models"]} == {None}
        names = [stage["name"] for stage in one["stages"] if stage["status"] == "done"]
        assert names == ["baseline", "reference-float16", "convert", "check"]
        assert (tmp_path / "out" / one["target"] / "small_cnn.rknn").is_file()


def test_a_target_with_cycles_only(
    small_cnn: Path, image_folder: Path, rockpress: Run, tmp_path: Path
) -> None:
    line = ["run", small_cnn, "--calib", image_folder, "--target", "rv1106", "-o", tmp_path / "out"]
    code, out, err = rockpress(*line)
    assert code == 0, err
    assert "no estimate for this chip, only cycles" in out
    target = json.loads((tmp_path / "out" / "report.json").read_text())["targets"][0]
    latency = target["models"][-1]["latency"][0]
    assert (latency["ms"], latency["cycles"] > 0) == (None, True)
    assert [model["stage"] for model in target["models"]] == ["baseline", "quantized", "rknn"]
    assert target["ratios"] == dict.fromkeys(RATIOS)


# Samples of every form


def test_samples_of_every_form_give_the_same(
    small_cnn: Path, labelled_folder: Path, rockpress: Run, tmp_path: Path
) -> None:
    from PIL import Image

    files = sorted(labelled_folder.rglob("*.png"))
    labels = ["abc".index(file.parent.name) for file in files]
    with (tmp_path / "labels.csv").open("w", newline="") as table:
        csv.writer(table).writerows([("path", "label"), *zip(files, labels, strict=True)])
    pixels = np.stack([np.asarray(Image.open(file)) for file in files])
    np.savez(tmp_path / "labelled.npz", images=pixels, labels=np.array(labels))
    retentions = []
    for samples in (labelled_folder, tmp_path / "labels.csv", tmp_path / "labelled.npz"):
        line = ["check", small_cnn, small_cnn, "--eval", samples, "--json"]
        target = document_of(rockpress(*line))["targets"][0]
        retentions.append(target["models"][0]["accuracy"])
    assert retentions[0]["samples"] == 12
    assert retentions[0] == retentions[1] == retentions[2]


@pytest.mark.parametrize("form", ["list", "flat folder", "npz", "npy", "calib"])
def test_unlabelled_samples_give_no_accuracy(
    form: str, small_cnn: Path, image_folder: Path, rockpress: Run, tmp_path: Path
) -> None:
    from PIL import Image

    (image_folder / "0.png").rename(image_folder / "a b.png")
    files = sorted(image_folder.iterdir())
    (tmp_path / "list.txt").write_text("".join(f"{file}\n" for file in files))
    pixels = np.stack([np.asarray(Image.open(file)) for file in files])
    np.savez(tmp_path / "images.npz", images=pixels)
    np.save(tmp_path / "images.npy", pixels)
    names = {"list": "list.txt", "npz": "images.npz", "npy": "images.npy"}
    samples = tmp_path / names.get(form, "images")
    flag = "--calib" if form == "calib" else "--eval"
    code, out, err = rockpress("check", small_cnn, small_cnn, flag, samples)
    assert code == 0, err
    assert (
        "agreement with the baseline 100.0% (67.6 to 100.0%), SQNR to it infinite on 8 samples"
        in out
    )
    assert "(no labels, so no accuracy)" in out
    assert "retention 1" not in out and "kept" not in out


def dynamic_model(path: Path) -> Path:
    text = """(float[n,3,h,w] x) => (float[n,3,h,w] y) {
        [first] inner = Relu (x)
        [second] y = Sigmoid (inner) }"""
    onnx.save(model_of(text, prepared=False), path)
    return path


@pytest.mark.parametrize("more", [["--size", "24x40"], ["--input", "x=1x3x24x40"]])
def test_a_dynamic_model_with_a_size(
    more: list[str], image_folder: Path, rockpress: Run, tmp_path: Path
) -> None:
    model = dynamic_model(tmp_path / "m.onnx")
    line = ["check", model, model, "--eval", image_folder, "--json", *more]
    assert document_of(rockpress(*line))["targets"][0]["retention"]["samples"] == 8


def test_a_model_that_ends_earlier(
    small_cnn: Path, image_folder: Path, rockpress: Run, tmp_path: Path
) -> None:
    line = ["quantize", small_cnn, "--calib", image_folder, "-o", tmp_path / "q.onnx"]
    done = rockpress(*line, "--outputs", "add_relu")
    assert done[0] == 0, done[2]
    assert [one.name for one in onnx.load(tmp_path / "q.onnx").graph.output] == ["add_relu"]
    line = ["check", small_cnn, tmp_path / "q.onnx", "--eval", image_folder, "--json"]
    kept = document_of(rockpress(*line, "--outputs", "add_relu"))["targets"][0]["retention"]
    assert kept["sqnr_db"] > 20


# Terminals


def on_a_terminal(columns: int, *args: object) -> tuple[bytes, bytes]:
    """What a command writes to stdout and to stderr, each a terminal of its own."""
    streams = [pty.openpty(), pty.openpty()]
    environment = {**os.environ, "COLUMNS": str(columns), "TERM": "xterm"}
    process = subprocess.Popen(
        [*COMMAND, *map(str, args)],
        stdout=streams[0][1],
        stderr=streams[1][1],
        env=environment,
    )
    for _, writer in streams:
        os.close(writer)
    # both at once and from the start: a full terminal would stop the command
    with ThreadPoolExecutor(2) as pool:
        written = list(pool.map(read_all, [reader for reader, _ in streams]))
    assert process.wait(timeout=300) == 0
    return written[0], written[1]


@pytest.mark.parametrize("columns", [80, 120])
def test_a_terminal_gets_a_bar_on_stderr_and_a_table_that_fits(
    columns: int, small_cnn: Path, labelled_folder: Path
) -> None:
    line = ["check", small_cnn, small_cnn, "--eval", labelled_folder]
    out, err = on_a_terminal(columns, *line)
    assert b"baseline" in err
    assert b"\x1b[" in err
    plain = re.sub(rb"\x1b\[[\d;?]*[a-zA-Z]", b"", out).decode()
    assert "0:00:0" not in plain
    table = [row.rstrip() for row in plain.partition("host: measured")[0].splitlines()]
    rows = [row for row in table if row.startswith(("baseline ", "candidate "))]
    assert len(rows) == 2
    assert all(len(row) <= columns and re.search(r"host .* ms .*\d\.\d{4}$", row) for row in rows)
