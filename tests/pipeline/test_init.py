"""``rockpress init``, and what it writes in the hands of make and a shell."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import onnx
import pytest
from onnx import ModelProto, helper
from ruamel.yaml import YAML

from commands import Run, in_a_process
from graphs import Shape, model_of, model_of_nodes
from rockpress.core.errors import OutputError
from rockpress.pipeline.ci_files import CI_FILES, LEFT_OUT, Ci, ci_text
from rockpress.pipeline.depfile import needed_files, rule
from rockpress.pipeline.install_source import WHEELS, InstallSource, install_source
from rockpress.pipeline.recipes.recipe import make_recipe
from rockpress.pipeline.recipes.recipe_file import read_jobs
from rockpress.pipeline.starter import started_model, write_starter
from rockpress.pipeline.starter_recipe import recipe_text

ROCKPRESS = f"{shlex.quote(sys.executable)} -m rockpress"


def run(*args: object, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*map(str, args)], cwd=folder, capture_output=True, text=True)


@pytest.fixture
def place(small_cnn: Path, image_folder: Path, labelled_folder: Path) -> Path:
    """A folder with a model, labelled samples with names that make has to be told carefully."""
    for path in sorted(labelled_folder.rglob("*.png")):
        path.rename(path.with_stem(f"{path.stem} #1 $a%b:c*d"))
    return small_cnn.parent


@pytest.fixture
def init(place: Path, rockpress: Run, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The command, in ``place``."""
    monkeypatch.chdir(place)
    return partial(rockpress, "init")


def make(folder: Path, *args: str) -> subprocess.CompletedProcess[str]:
    return run("make", "-f", "rockpress.mk", f"ROCKPRESS={ROCKPRESS}", *args, folder=folder)


def is_made(folder: Path) -> bool:
    done = make(folder, "-q")
    assert done.returncode in (0, 1), done.stderr  # 2 is an error
    return done.returncode == 0


def older(path: Path, than: Path) -> None:
    before = than.stat().st_mtime - 10
    os.utime(path, (before, before))


def test_the_recipe_and_the_makefile_work_as_they_are(place: Path, init: Run) -> None:
    line = ["small_cnn.onnx", "--calib", "images", "--eval", "labelled", "--target", "rv1106"]
    code, out, err = init(*line)  # a chip without float16: there is no reference to build
    assert (code, out) == (0, "")
    written = ["rockpress.toml", "rockpress.mk, for make"]
    said = [*(f"written {name}" for name in written), "next: rockpress run rockpress.toml"]
    assert err.splitlines() == [f"rockpress: {line}" for line in said]
    (job,) = read_jobs(place / "rockpress.toml")
    model, images, labelled = (place / name for name in ("small_cnn.onnx", "images", "labelled"))
    assert job.recipe == make_recipe(model, calib=images, eval=labelled, target=("rv1106",))

    recipe = place / "rockpress.toml"
    done = make(place)
    report = place / "build" / "report.json"
    assert done.returncode == 0, done.stderr
    assert json.loads(report.read_text())["verdict"] == "none"
    assert is_made(place)
    image = next((place / "labelled").rglob("*.png"))
    now = report.stat().st_mtime
    for changed in (image, image.parent, recipe, place / "small_cnn.onnx"):
        was = changed.stat().st_mtime
        os.utime(changed, (now + 10, now + 10))
        assert not is_made(place), changed
        os.utime(changed, (was, was))
    assert is_made(place)

    copy = next(one for one in (place / "labelled").rglob("*.png") if one != image).read_bytes()
    image.write_bytes(copy)
    os.utime(image, (now + 10, now + 10))
    assert make(place).returncode == 0
    (target,) = json.loads(report.read_text())["targets"]
    stages = {stage["name"]: stage["status"] for stage in target["stages"]}
    # what is measured is measured anew; what is learned from the other images is not
    assert (stages["quantize"], stages["convert"]) == ("cached", "done")
    for made in (place / "build").rglob("*"):
        os.utime(made, (now + 20, now + 20))
    assert is_made(place)
    image.unlink()  # which changes its folder, and is no error
    os.utime(image.parent, (now + 30, now + 30))
    assert not is_made(place)


def test_a_gate_that_fails_is_tried_again(place: Path, init: Run, rockpress: Run) -> None:
    """Also when its report was written by a run without make."""
    init("small_cnn.onnx", "--eval", "labelled", "--calib", "labelled")
    recipe, passed = place / "rockpress.toml", place / "build" / "passed"
    well = recipe.read_text() + 'quantize = "off"\n'
    recipe.write_text(f"{well}max-size-mb = 0.001\n")
    line = ["run", "rockpress.toml", "--depfile", "build/report.d"]
    assert rockpress(*line)[0] == 4
    assert json.loads((place / "build" / "report.json").read_text())["verdict"] == "fail"
    assert not is_made(place)
    done = make(place)
    assert (done.returncode, "Error 4" in done.stderr, passed.exists()) == (2, True, False)
    assert not is_made(place)
    recipe.write_text(well)
    assert make(place).returncode == 0
    assert is_made(place)
    assert rockpress(*line, "--max-size-mb", 0.001)[0] == 4
    assert not is_made(place)


def interrupted(folder: Path) -> Path:
    """A script that runs rockpress and presses Ctrl-C at the first line that it prints."""
    script = folder / "interrupted.sh"
    script.write_text(
        "set -m\nmkfifo told\n"  # without -m what is in the background ignores Ctrl-C
        f"{ROCKPRESS} demo -o demo 2>told &\n"
        "exec 3<told; read -r line <&3; kill -INT $!; wait $!\n"
    )
    return script


def test_exit_codes_seen_from_a_shell(place: Path) -> None:
    same = f"{ROCKPRESS} check small_cnn.onnx small_cnn.onnx --eval labelled -q"
    lines = [
        same,
        f"{same} --max-size-mb 0.0001",
        f"{ROCKPRESS} check missing.onnx small_cnn.onnx --eval labelled",
        f"{ROCKPRESS} check --nonsense",
        f"bash {interrupted(place)}",
    ]
    script = "".join(f"{line} >/dev/null 2>&1; echo $?\n" for line in lines)
    codes = run("bash", "-c", script, folder=place).stdout.split()
    assert codes == ["0", "4", "1", "2", "130"]


def test_exit_codes_seen_from_make(place: Path, init: Run) -> None:
    for name in ("images", "labelled"):
        shutil.rmtree(place / name)
    init("small_cnn.onnx")  # without samples there is nothing to quantize from
    done = make(place)
    assert 'hint: rockpress.toml: give some with calib, or use scheme = "float16"' in done.stderr
    assert (done.returncode, "Error 2\n" in done.stderr) == (2, True)
    assert not (place / "build" / "report.json").exists()
    (place / "small_cnn.onnx").unlink()
    assert "Error 1\n" in make(place).stderr


def test_ctrl_c_in_make(place: Path, init: Run) -> None:
    """GNU make then ends by the signal itself, which a shell sees as 130, not with its own 2."""
    init("small_cnn.onnx", "--calib", "images", "--target", "rv1106")
    started = subprocess.Popen(
        ["make", "-f", "rockpress.mk", f"ROCKPRESS={ROCKPRESS}"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert started.stderr
    assert any(line.startswith("rockpress: baseline") for line in started.stderr)
    os.killpg(started.pid, signal.SIGINT)  # as a terminal does: make, its shell and rockpress
    said = started.communicate(timeout=300)[1]
    assert started.returncode == -signal.SIGINT
    assert "interrupted\nhint: the same command goes on after the last stage" in said
    assert list((place / "build").rglob("*.*")) == []
    assert not is_made(place)


def steps_of(path: Path) -> list[str]:
    text = path.read_text()
    file = YAML(typ="safe").load(text)
    if path.suffixes[-2:] == [".gitlab-ci", ".yml"]:
        return list(file["rockpress"]["script"])
    return [step["run"] for step in file["jobs"]["model"]["steps"] if "run" in step]


@pytest.mark.parametrize(
    ("service", "name", "reports"),
    [
        ("github", ".github/workflows/rockpress.yml", ("summary.md", "report.html", "junit.xml")),
        ("gitlab", "rockpress.gitlab-ci.yml", ("junit.xml", "report.html")),
    ],
)
def test_ci_runs_the_recipe(
    service: str, name: str, reports: tuple[str, ...], place: Path, init: Run
) -> None:
    _, _, err = init("small_cnn.onnx", "--ci", service)
    _, command, *_ = steps_of(place / name)
    flags = " ".join(f"--report build/{report}" for report in reports)
    assert command == f"rockpress run rockpress.toml {flags}"
    source = install_source()
    (hint,) = [line for line in err.splitlines() if f"{name} installs {source.words}" in line]
    assert not source.project or hint.endswith(f", put there by {source.put_wheel(Path(WHEELS))}")


@pytest.mark.parametrize("service", ["github", "gitlab"])
def test_ci_installs_what_is_here(service: Ci, tmp_path: Path) -> None:
    """The commands are run, with programs in the place of pip and uv that note what they get."""
    wheel = tmp_path / WHEELS / "rockpress-0.1.0-py3-none-any.whl"
    wheel.parent.mkdir()
    wheel.touch()
    for name in ("pip", "uv"):
        program = tmp_path / name
        program.write_text(f'#!/bin/sh\nprintf "[%s]" {name} "$@"; echo\n[ {name} = pip ] || cat\n')
        program.chmod(0o755)
    words = {
        "'rockpress @ git+https://x.org/a@f00'": "rockpress @ git+https://x.org/a@f00",
        "rockpress==0.1.0": "rockpress==0.1.0",
        f"{WHEELS}/rockpress-*.whl": f"{WHEELS}/{wheel.name}",
    }
    for source, requirement in words.items():
        file = tmp_path / CI_FILES[service].rpartition("/")[2]
        file.write_text(ci_text(service, InstallSource(source)))
        done = run("sh", "-ec", f"PATH={tmp_path}:$PATH\n{steps_of(file)[0]}", folder=tmp_path)
        assert (done.returncode, done.stderr) == (0, "")
        command = f"[uv][pip][install][--system][--overrides][-][{requirement}]"
        assert done.stdout.splitlines() == ["[pip][install][uv]", command, *LEFT_OUT]


@pytest.mark.parametrize(
    ("files", "service"),
    [
        ([], None),
        ([".git/config"], None),
        ([".git/config", ".gitlab-ci.yml"], "rockpress.gitlab-ci.yml"),
        ([".git/config", ".github/x.yml"], ".github/workflows/rockpress.yml"),
    ],
)
def test_ci_is_that_of_the_repository(
    files: list[str], service: str | None, place: Path, init: Run
) -> None:
    for name in files:
        (place / name).parent.mkdir(exist_ok=True)
        (place / name).touch()
    _, _, err = init("small_cnn.onnx")
    written = {line.split()[2].rstrip(",") for line in err.splitlines() if ": written " in line}
    assert written - {"rockpress.toml", "rockpress.mk"} == ({service} if service else set())


@pytest.mark.parametrize(
    ("origin", "written"), [("git@github.com:a/b", 3), ("https://gitlab.com/a/b", 3), ("x", 2)]
)
def test_ci_is_that_of_where_the_repository_comes_from(
    origin: str, written: int, place: Path, init: Run
) -> None:
    (place / ".git").mkdir()
    (place / ".git" / "config").write_text(f'[remote "origin"]\n\turl = {origin}\n')
    assert init("small_cnn.onnx")[2].count(": written ") == written
    assert init("small_cnn.onnx", "--force", "--ci", "none")[2].count(": written ") == 2
    code, _, err = init("small_cnn.onnx", "--force", "--ci", "jenkins")
    assert code == 2 and "--ci: 'jenkins'" in err and "gitlab" in err


def test_a_repository_that_is_none(place: Path, init: Run) -> None:
    (place / ".git").mkdir()
    os.mkfifo(place / ".git" / "config")
    assert init("small_cnn.onnx")[2].count(": written ") == 2


def test_files_are_not_replaced_unless_asked(place: Path, init: Run) -> None:
    mine = place / "rockpress.mk"
    mine.write_text("mine\n")
    code, _, err = init("small_cnn.onnx")
    assert code == 1
    said = ["error: rockpress.mk is there already", "hint: --force replaces it"]
    assert err.splitlines() == said
    assert not (place / "rockpress.toml").exists()
    assert init("small_cnn.onnx", "--force", "-q") == (0, "", "")
    assert mine.read_text() != "mine\n"


@pytest.mark.parametrize("quiet", [[], ["--quiet"]])
def test_an_option_that_no_run_would_take_leaves_no_recipe(
    quiet: list[str], small_cnn: Path, tmp_path: Path
) -> None:
    done = in_a_process("init", small_cnn, "-o", tmp_path / "new", "--metric", "top-nine", *quiet)
    assert done.returncode == 2
    error, hint = done.stderr.splitlines()
    assert "the metric 'top-nine' is not known" in error and hint.startswith("hint: use top1")
    assert not (tmp_path / "new").exists()


def test_an_option_that_no_run_would_take_replaces_no_recipe(place: Path, init: Run) -> None:
    assert init("small_cnn.onnx", "-q").code == 0
    before = (place / "rockpress.toml").read_text()
    assert init("small_cnn.onnx", "--force", "--metric", "top-nine").code == 2
    assert (place / "rockpress.toml").read_text() == before


def test_paths_start_at_the_folder_of_the_recipe(place: Path, init: Run) -> None:
    models = [started_model(place / "small_cnn.onnx", {})]
    with pytest.raises(OutputError):
        write_starter(models, {}, place / "small_cnn.onnx", "none", force=False)
    line = ["small_cnn.onnx", "--calib", "labelled", "--target", "RK3576", "-o", "ci", "-q"]
    assert init(*line) == (0, "", "")
    (job,) = read_jobs(place / "ci" / "rockpress.toml")
    assert job.recipe.model.resolve() == place / "small_cnn.onnx"
    assert (
        job.recipe.samples.calib is not None
        and job.recipe.samples.calib.resolve() == place / "labelled"
    )
    assert job.recipe.run.target == ("rk3576",)


def test_below_the_top_of_a_repository_init_says_what_to_move(place: Path, init: Run) -> None:
    assert "hint" not in init("small_cnn.onnx", "-o", "elsewhere")[2]
    (place / ".git").mkdir()
    assert "hint" not in init("small_cnn.onnx")[2]
    _, _, err = init("small_cnn.onnx", "-o", "models/cls", "--ci", "github")
    hints = [line for line in err.splitlines() if line.startswith("hint: ")]
    assert f"move .github/workflows/rockpress.yml to {place}, and put models/cls/ " in hints[1]
    command = hints[2].partition(": make -C ")[2].split()
    done = run("make", "-n", "-C", *command, folder=place)
    assert (done.returncode, "run rockpress.toml -o build" in done.stdout) == (0, True)


def text_for(model: ModelProto, folder: Path) -> str:
    onnx.save(model, folder / "m.onnx")
    return recipe_text([started_model(folder / "m.onnx", {})], {}, folder)


def test_sizes_that_the_model_leaves_open_are_said(tmp_path: Path) -> None:
    inputs: dict[str, Shape] = {'x"\ny': ["n", 3, "h", 320], "z": [2, 8]}
    nodes = [helper.make_node("Identity", ['x"\ny'], ["y"])]
    text = text_for(model_of_nodes(nodes, inputs, {"y": None}), tmp_path)
    assert '# Input "x\\"\\ny": ?x3x?x320 float32, an image, channels first\n' in text
    assert '# Input "z": 2x8 float32\n' in text
    (line,) = [line for line in text.splitlines() if line.startswith("# input.")]
    (tmp_path / "r.toml").write_text(f"{text}\n{line[2:]}\n")
    (job,) = read_jobs(tmp_path / "r.toml")
    assert job.recipe.shape.input == {'x"\ny': (1, 3, 224, 320)}


def test_what_is_no_image_is_not_asked_for_a_size(tmp_path: Path) -> None:
    sounds = "(float[1,t,400] speech) => (float[1,t,400] y) { y = Relu (speech) }"
    text = text_for(model_of(sounds, prepared=False), tmp_path)
    assert "# size = " not in text and "# mean" not in text
    assert "# input.speech = [1, 1, 400]\n" in text


@pytest.mark.parametrize(
    ("shape", "size"),
    [
        (["n", 3, "h", "w"], (224, 224)),
        ([1, 3, 48, "w"], (48, 224)),
        ([1, "h", "w", 3], (224, 224)),
        ([1, 3, 32, 32], None),
    ],
)
def test_an_open_size_is_asked_for(
    shape: list[int | str], size: tuple[int, int] | None, tmp_path: Path
) -> None:
    dims = ",".join(map(str, shape))
    model = model_of(f"(float[{dims}] x) => (float[{dims}] y) {{ y = Relu (x) }}", prepared=False)
    text = text_for(model, tmp_path)
    (tmp_path / "r.toml").write_text(text.replace("# size", "size"))
    (job,) = read_jobs(tmp_path / "r.toml")
    assert job.recipe.shape.size == size


def test_a_rule_names_every_file(small_cnn: Path, labelled_folder: Path) -> None:
    recipe = make_recipe(small_cnn, calib=labelled_folder)
    needed = needed_files(recipe)
    folders = [labelled_folder, *(labelled_folder / name for name in "abc")]
    assert needed[:5] == [small_cnn, *folders]
    assert len(needed) == 5 + 12
    text = rule(Path("out/report.json"), [*needed, small_cnn])
    assert text.count(str(small_cnn)) == 2  # once needed, once as a rule of its own
