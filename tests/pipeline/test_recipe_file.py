"""Recipes: what a file may hold, what is told of mistakes, and what goes before what."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib import util
from pathlib import Path
from types import ModuleType
from typing import Any

import onnx
import pytest
import typer
from PIL import Image

from commands import Run
from graphs import model_of
from option_values import other_value
from rockpress.calibration_data.preprocessing import Preprocessing
from rockpress.cli import model_runs as cli_jobs
from rockpress.cli.commands import run as run_command
from rockpress.convert.chips.targets import TARGET_NAMES
from rockpress.core.errors import ModelError, OptionError
from rockpress.core.options import Option
from rockpress.pipeline.options.check_options import Gates
from rockpress.pipeline.options.option_table import homes_of, options_of
from rockpress.pipeline.recipes.recipe import Recipe, make_recipe, recipe_phrase
from rockpress.pipeline.recipes.recipe_file import ModelJob, read_jobs

DOCS = Path(__file__).parents[2] / "docs"

EVERYTHING = """
model = "model.onnx"
calib = "images"
calib-count = 64
eval = "/data/labelled"
eval-count = 500
metric = "top5"
target = ["rk3588", "rk3576"]
output = "out"
input.x = [1, 3, 48, 320]
outputs = ["boxes", "scores"]
size = [48, 320]
resize = "fit"
pad = 0
color = "bgr"
mean = [1.5, 2, 3]
std = 127.5
prune = "cycles=-20%"
recover = "none"
quantize = "w8a8"
method = "mse"
mixed = "off"
search-time = 60
min-retention = 0.98
confidence = "lower"
max-latency-ms = 5
max-size-mb = 8.5
baseline = "old.json"
max-regression = { cycles = 0.02 }
layout = "nhwc"
timeout = 600
memory-limit = 4
toolkit-python = "env/bin/python"
jobs = 2
seed = 7
"""


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str], Path]:
    def written(text: str) -> Path:
        path = tmp_path / "rockpress.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return written


def test_everything_at_once(write: Callable[[str], Path], tmp_path: Path) -> None:
    (job,) = read_jobs(write(EVERYTHING))
    assert job == ModelJob(
        None,
        make_recipe(
            model=tmp_path / "model.onnx",
            calib=tmp_path / "images",
            calib_count=64,
            eval=Path("/data/labelled"),
            eval_count=500,
            metric="top5",
            target=("rk3588", "rk3576"),
            input={"x": (1, 3, 48, 320)},
            size=(48, 320),
            outputs=("boxes", "scores"),
            preprocessing=Preprocessing("fit", 0, "bgr", (1.5, 2, 3), (127.5,), "nhwc"),
            prune="cycles=-20%",
            recover="none",
            scheme="w8a8",
            method="mse",
            mixed="off",
            search_time=60,
            gates=Gates(0.98, "lower", 5, 8.5, tmp_path / "old.json", {"cycles": 0.02}),
            seed=7,
            timeout=600,
            memory_limit=4,
            toolkit_python=tmp_path / "env/bin/python",
            jobs=2,
        ),
        tmp_path / "out",
    )


@pytest.mark.parametrize("described", options_of("run"), ids=lambda described: described.flag)
def test_every_option_is_read(
    described: Option, write: Callable[[str], Path], tmp_path: Path
) -> None:
    group, _ = homes_of(described.name)[0]

    def in_recipe(recipe: Recipe) -> Any:
        return getattr(getattr(recipe, group), described.name)

    plain = make_recipe(tmp_path / "a.onnx")
    value = other_value(described, in_recipe(plain))
    (job,) = read_jobs(write(f'model = "a.onnx"\n{recipe_phrase(described.flag, value)}'))
    assert in_recipe(job.recipe) == described.load(value) != in_recipe(plain)
    assert job.recipe == plain.with_options(**{described.name: value})


def test_files_of_a_metric_are_found_from_the_recipe(
    write: Callable[[str], Path], tmp_path: Path
) -> None:
    text = 'model = "m.onnx"\nmetric = "line-accuracy"\nmetric-option.ignore-spaces = "yes"\n'
    (job,) = read_jobs(write(text + 'metric-option.charset = "keys.txt"\n'))
    assert job.recipe.metric.metric_option == {
        "ignore-spaces": "yes",
        "charset": str(tmp_path / "keys.txt"),
    }
    (job,) = read_jobs(write(text + 'metric-option.charset = "/data/keys.txt"\n'))
    assert job.recipe.metric.metric_option["charset"] == "/data/keys.txt"


def test_keys_left_out_have_the_default_of_the_option(write: Callable[[str], Path]) -> None:
    path = write('model = "a.onnx"\nprune = "off"\ntoolkit-python = "python3"\nquantize = "off"\n')
    (job,) = read_jobs(path)
    model = path.parent / "a.onnx"
    assert job.recipe == make_recipe(model, scheme="float16", toolkit_python=Path("python3"))
    assert job.output == path.parent / "build"


def test_several_models_share_what_stands_above_them(write: Callable[[str], Path]) -> None:
    text = 'calib = "all"\ntarget = "rk3576"\n[models.a]\nmodel = "a.onnx"\n'
    text += '[models.b-2]\nmodel = "b.onnx"\ncalib = "own"\nmin-retention = 0.9\n'
    path = write(text)
    folder = path.parent
    first, second = read_jobs(path)
    shared = make_recipe(folder / "a.onnx", calib=folder / "all", target=("rk3576",))
    assert first == ModelJob("a", shared, folder / "build" / "a")
    assert (second.name, second.output) == ("b-2", folder / "build" / "b-2")
    assert (second.recipe.samples.calib, second.recipe.gates) == (folder / "own", Gates(0.9))


def test_every_option_of_run_is_a_key(write: Callable[[str], Path]) -> None:
    params = typer.main.get_command(run_command.app).params
    shown = [one for one in params if not getattr(one, "hidden", False)]
    options = {name[2:] for one in shown for name in one.opts if name.startswith("--")}
    of_a_call = {"report", "json", "quiet", "verbose", "depfile", "dry-run", "force", "output"}
    assert {one.flag for one in options_of("run")} == options - of_a_call


def test_names_of_earlier_versions_are_keys_still(write: Callable[[str], Path]) -> None:
    (old,) = read_jobs(write('model = "a"\nquantize = "w8a16"\n'))
    (new,) = read_jobs(write('model = "a"\nscheme = "w8a16"\n'))
    assert old == new


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ('modle = "a.onnx"', "unknown key 'modle'", "did you mean model?"),
        (
            'model = "a"\nmin_retention = 0.9',
            "unknown key 'min_retention'",
            "did you mean min-retention?",
        ),
        ('[models.a]\nmodel = "a"\nstdd = 1', "unknown key 'models.a.stdd'", "did you mean std?"),
        ('model = "a"\n[q]\nx = 1', "unknown key 'q'", None),
        ('model = "a"\nseed = true', "seed: True is not a whole number from 0 up", None),
        (
            'model = "a"\nstd = [1, 0]',
            "std: [1, 0] is not a number, or a list of one a channel, all above 0",
            None,
        ),
        (
            'model = "a"\nmean = "1"',
            "mean: '1' is not a number, or a list",
            "write mean = [1.0]",
        ),
        ('model = "a"\nsize = [48]', "size: [48] is not [HEIGHT, WIDTH] in pixels", None),
        (
            'model = "a"\nresize = "streched"',
            "resize: 'streched' is not one of stretch, letterbox, corner, fit, crop",
            'did you mean resize = "stretch"?',
        ),
        ('calib = "a"', "model: no model is named", 'add model = "model.onnx"'),
        (
            '[models.a]\ncalib = "a"',
            "models.a: no model is named",
            "add model = ... under [models.a]",
        ),
        (
            'model = "a"\ntarget = ["rk3588", "rk2576"]',
            "target: unknown target 'rk2576'",
            'did you mean target = "rk3576"? known targets: ' + ", ".join(TARGET_NAMES),
        ),
        (
            '[models."../a"]\nmodel = "a"',
            "models.../a: the name of a model should be letters, digits, dots, dashes and "
            "underscores, not '../a'",
            None,
        ),
        ("[models]", "models: {} is not a table of models", None),
        ('model = "a"\ntarget = []', "target: [] is not a text, or a list of texts", None),
        (
            'model = "a"\nmin-retention = nan',
            "min-retention: nan is not a number from 0 to 2",
            None,
        ),
        ('model = "a"\nmean = inf', "mean: inf is not a number", None),
        (
            'model = "a"\nprune = "cycles=20%"',
            "prune: the budget 'cycles=20%' is not of the form KIND=-N%",
            'did you mean prune = "cycles=-20%"?',
        ),
        (
            'model = "a"\nmetric = "nomod:fn"',
            "metric: the metric 'nomod:fn' cannot be imported",
            "check PYTHONPATH and the name",
        ),
        ("model =", "is no TOML: ", "mend that, or see what rockpress init writes"),
        (
            'model = "a"\nsize = "28x32"',
            "size: '28x32' is not [HEIGHT, WIDTH]",
            "write size = [28, 32]",
        ),
        ('model = "a"\nseed = "x"', "seed: 'x' is not a whole number", None),
        ('model = "a"\nroute = "qdq"', "unknown key 'route'", "route is an option of convert"),
        (
            'model = "a"\nscheme = "w8a8"\nquantize = "off"',
            "quantize: scheme has that meaning too",
            "leave one of the two out",
        ),
        (f'model = "a"\nmean = 1{400 * "0"}', "mean: 1", None),  # no float is that large
        ('model = "a"\ninput.x = []', "input: {'x': []} is not a table of shapes", None),
        (f"a = 1{5000 * '0'}", "is no TOML: ", "mend that, or see what rockpress init writes"),
        (f"a = {3000 * '['}", "is no TOML: ", "mend that, or see what rockpress init writes"),
    ],
)
def test_a_mistake_is_told_by_its_key(
    text: str, message: str, hint: str | None, write: Callable[[str], Path]
) -> None:
    path = write(text)
    with pytest.raises(OptionError) as caught:
        read_jobs(path)
    assert message in caught.value.message
    assert caught.value.message.startswith(str(path))
    assert caught.value.hint == (hint or "docs/recipe.md lists the keys and what they take")


def test_tables_add_to_what_there_is_and_one_option_has_one_name() -> None:
    first = make_recipe("a", max_regression={"cycles": 0.1}, input={"x": [1]})
    both = first.with_options(max_regression={"size": 0.2}, input={"y": [2]})
    assert both.gates.max_regression == {"cycles": 0.1, "size": 0.2}
    assert both.shape.input == {"x": (1,), "y": (2,)}
    settings = make_recipe("a", metric_option={"a": 0.5, "b": True, "c": 3, "d": "no"})
    assert settings.metric.metric_option == {"a": "0.5", "b": "yes", "c": "3", "d": "no"}
    with pytest.raises(OptionError, match="another name of it"):
        make_recipe("a", scheme="w8a8", quantize="off")


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ([], "rockpress.toml: give one, for example size = [48, 192] or input.x = [1, 3, 48, 192]"),
        (["--size", "8x"], ""),  # read before the recipe
        (["--input", "x=1x3"], "rockpress.toml: leave size and --input out, or export"),
    ],
)
def test_a_hint_speaks_of_the_key(
    more: list[str],
    said: str,
    write: Callable[[str], Path],
    rockpress: Run,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """But of the option, where that was typed."""
    path = write('model = "open.onnx"\ncalib = "images"')
    monkeypatch.chdir(path.parent)
    Path("images").mkdir()
    Image.new("RGB", (8, 8)).save("images/a.png")
    text = "(float[n,3,h,w] x) => (float[n,3,h,w] y) { y = Relu (x) }"
    onnx.save(model_of(text, prepared=False), "open.onnx")
    for dry_run in ([], ["--dry-run"]):
        code, _, err = rockpress("run", path.name, *more, *dry_run)
        assert (code, said in err) == (2 if more else 1, True)


@pytest.mark.parametrize(
    ("name", "value", "line"),
    [
        ("prune", "off", 'prune = "off"'),
        ("std", [1.0, 2.0, 3.0], "std = [1.0, 2.0, 3.0]"),
        ("max-regression", {"cycles": 0.025}, "max-regression.cycles = 0.025"),
        ("metric-option", {"charset": "a.txt"}, 'metric-option.charset = "a.txt"'),
        ("input", {"a.b": [1, 3]}, 'input."a.b" = [1, 3]'),
        ("outputs", ["/a", "/b"], 'outputs = ["/a", "/b"]'),
    ],
)
def test_an_option_is_said_as_a_line_that_a_recipe_takes(
    name: str, value: Any, line: str, write: Callable[[str], Path]
) -> None:
    assert recipe_phrase(name, value) == line
    (job,) = read_jobs(write(f'model = "a"\n{line}'))
    assert job.recipe != make_recipe(job.recipe.model) or value == "off"


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ('outputs = ["foo"]', "outputs: the model computes no tensor 'foo' to end at"),
        ("input.foo = [1, 3]", "input: the model has no input 'foo'"),
    ],
)
def test_mistakes_that_the_model_shows_are_told_by_the_key(
    key: str,
    said: str,
    small_cnn: Path,
    image_folder: Path,
    write: Callable[[str], Path],
    rockpress: Run,
) -> None:
    path = write(f'model = "{small_cnn}"\ncalib = "{image_folder}"\n{key}\n')
    code, _, err = rockpress("run", path, "--dry-run")
    assert (code, err.splitlines()[0]) == (2, f"error: {path}: {said}")


def test_the_reports_of_a_recipe_speak_of_its_keys(
    small_cnn: Path,
    image_folder: Path,
    write: Callable[[str], Path],
    rockpress: Run,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also when the run comes from the cache."""
    path = write(f'model = "{small_cnn}"\ncalib = "{image_folder}"\nmean = 0.48\nstd = 0.22\n')
    monkeypatch.chdir(path.parent)
    monkeypatch.setenv("ROCKPRESS_CACHE_DIR", str(path.parent / "cache"))
    pages = ["r.html", "r.xml", "r.md"]
    said = "give mean and std in 0..255"
    for _ in range(2):
        more = [word for page in pages for word in ("--report", page)]
        code, _, err = rockpress("run", path.name, *more, "-q")
        assert (code, err.count(f"hint: {said}\n")) == (0, 1)
        for page in (*pages, "build/report.json"):
            text = Path(page).read_text()
            assert said in text and "give --mean" not in text, page
    line = ["run", small_cnn, "--calib", image_folder, "--mean", "0.48", "--std", "0.22"]
    _, _, err = rockpress(*line, "-q")
    assert "hint: give --mean and --std in 0..255" in err


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="No such file"):
        read_jobs(tmp_path / "rockpress.toml")


def test_options_go_before_the_file() -> None:
    base = make_recipe(
        "a.onnx",
        calib="c",
        input={"x": [1], "y": [2]},
        resize="fit",
        color="bgr",
        prune="cycles=-20%",
        min_retention=0.9,
    )
    recipe = base.with_options(input={"y": [3]}, prune="off", max_size_mb=2, resize="crop")
    assert recipe.shape.input == {"x": (1,), "y": (3,)}
    assert recipe.preprocessing == Preprocessing("crop", color="bgr")
    assert recipe.gates == Gates(min_retention=0.9, max_size_mb=2.0)
    assert (recipe.prune.prune, recipe.samples.calib) == (None, Path("c"))


def test_the_output_of_the_command_line_goes_before_that_of_the_file(
    write: Callable[[str], Path],
) -> None:
    path = write('output = "here"\n[models.a]\nmodel = "a"\n[models.b]\nmodel = "b"\n')
    outputs = [job.output for job in cli_jobs.read_jobs(path, Path("there"))]
    assert outputs == [Path("there/a"), Path("there/b")]


# Several models run


def test_a_model_that_fails_does_not_lose_the_others(
    small_cnn: Path,
    image_folder: Path,
    write: Callable[[str], Path],
    rockpress: Run,
) -> None:
    path = write(
        f'calib = "{image_folder}"\nquantize = "off"\n'
        f'[models.gone]\nmodel = "gone.onnx"\n[models.there]\nmodel = "{small_cnn}"\n'
    )
    folder = path.parent
    code, out, err = rockpress("run", path, "--json", "--report", folder / "x.md", "-q")
    assert code == 1
    assert err.splitlines()[0].startswith("error: gone: ")
    document = json.loads(out)
    assert (document["verdict"], list(document["models"])) == ("fail", ["gone", "there"])
    assert "does not exist" in document["models"]["gone"]["error"]["message"]
    assert document["models"]["there"]["verdict"] == "none"
    report = folder / "build" / "there" / "report.json"
    assert json.loads(report.read_text()) == document["models"]["there"]
    assert json.loads((folder / "build" / "report.json").read_text()) == document
    assert (folder / "x-there.md").read_text().startswith("# rockpress: no gate")
    assert not (folder / "build" / "gone").exists()


# The pages that are written from it


def generator() -> ModuleType:
    spec = util.spec_from_file_location("recipe_reference", DOCS / "recipe_reference.py")
    assert spec is not None and spec.loader is not None
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_reference_and_the_schema_are_up_to_date() -> None:
    written = generator()
    page = (DOCS / "recipe.md").read_text().split(written.MARKER)[1]
    assert page == written.reference(), "run .venv/bin/python docs/recipe_reference.py"
    assert (DOCS / "rockpress.schema.json").read_text() == written.schema_text()
