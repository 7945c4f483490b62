"""The rules of ``--depfile``, as GNU make reads them."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from rockpress.cli.model_runs import read_jobs, write_depfile
from rockpress.cli.places import whole_report
from rockpress.pipeline.depfile import is_fit, needed_files
from rockpress.pipeline.recipes.recipe import make_recipe
from rockpress.pipeline.recipes.recipe_file import ModelJob
from rockpress.pipeline.run import REPORT_FILE
from rockpress.pipeline.starter import started_model, write_starter

NAMES = [f"x{one}y.png" for one in " #$%&'()*+,-:;<=>?@[]^`{|}~!\"\xe9\x01"]
NAMES += [f"{one}z.png" for one in "#=;|*:%"]
NAMES += ["frame==1;;2||3.png", "a = b; c | d (1).png", "$(x)=$x.png"]
NAMES += [os.fsdecode(b"bad\xff.png")]
UNFIT = [
    "tab\there.png",
    "new\nline.png",
    "back\\slash.png",
    "photo (1)",
    "rock&",
    "blank ",
    " a.png",
]


def is_made(folder: Path) -> bool:
    line = ["make", "-q", "-f", "makefile", "build/report.json"]
    done = subprocess.run(line, cwd=folder, capture_output=True, text=True)
    assert (done.returncode in (0, 1), done.stderr) == (True, "")
    return done.returncode == 0


def dated(path: Path, seconds: int) -> None:
    os.utime(path, (seconds, seconds))


@pytest.fixture
def place(image_folder: Path, small_cnn: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a makefile, a model, and a report that is newer than all."""
    monkeypatch.chdir(small_cnn.parent)
    Path("makefile").write_text("build/report.json:\n\ttouch $@\n-include build/report.d\n")
    Path("build").mkdir()
    Path("build/report.json").write_text("{}")
    return small_cnn.parent


def folder_of(names: list[str], image: Path) -> Path:
    folder = image.parent.with_name("named")
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(image, folder / name)
    return Path(folder.name)


def depend_on(samples: Path) -> None:
    job = ModelJob(None, make_recipe(Path("small_cnn.onnx"), calib=samples), Path("build"))
    write_depfile(Path("build/report.d"), [job], job.recipe.model)
    for path in [samples, *samples.rglob("*"), Path("small_cnn.onnx")]:
        dated(path, 1000)
    dated(Path("build/report.json"), 2000)


def test_make_reads_all_names(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = [f"a (1)/{name}" for name in NAMES]
    samples = folder_of([*names, "b|=(2)/x.png"], next((place / "images").iterdir()))
    depend_on(samples)
    assert capsys.readouterr().err == ""
    assert is_made(place)
    files = [path for path in samples.rglob("*") if path.is_file()]
    assert len(files) == len(NAMES) + 1
    for path in [*files, *samples.iterdir()]:
        dated(path, 3000)
        assert not is_made(place), path
        dated(path, 1000)
    assert is_made(place)
    for path in files:
        path.unlink()
        dated(path.parent, 1000)
    assert not is_made(place)  # and none of them is an error


def test_a_name_that_make_cannot_read_is_told(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And the others keep working."""
    image = next((place / "images").iterdir())
    names = [name for name in UNFIT if name.endswith(".png")]
    samples = folder_of([*names, "a.png"], image)
    assert [name for name in UNFIT if is_fit(Path(name))] == []
    depend_on(samples)
    said = capsys.readouterr().err.splitlines()
    assert said[0].startswith("warning: make cannot read the names of 3 files, such as 'named/")
    assert said[0].endswith("[depfile-name]")
    assert is_made(place)
    dated(samples / "a.png", 3000)
    assert not is_made(place)


def test_labels_are_named_too(place: Path) -> None:
    samples = folder_of(["images/a.png", "labels/a.txt"], next((place / "images").iterdir()))
    (samples / "labels" / "a.txt").write_text("0 0.5 0.5 0.1 0.1\n")
    assert samples / "labels" / "a.txt" in needed_files(make_recipe(Path("m.onnx"), eval=samples))
    shutil.rmtree(samples)
    samples = folder_of(["a.png"], next((place / "images").iterdir()))
    (samples / "labels.csv").write_text("path,label\na.png,1\n")
    assert samples / "labels.csv" in needed_files(make_recipe(Path("m.onnx"), eval=samples))


def age_files() -> None:
    """Make everything below this folder ten seconds older."""
    for path in (Path(), *Path().rglob("*")):
        status = path.stat()
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns - 10**10))


class Made:
    """A recipe that make has made, where a run does no more than to write its files."""

    def __init__(self, text: str) -> None:
        models = [started_model(Path("small_cnn.onnx"), {})]
        write_starter(models, {}, Path(), "none", force=True)
        self._recipe = Path("rockpress.toml")
        self._recipe.write_text(text)
        self._runs = Path("runs")
        jobs = read_jobs(self._recipe, Path("build"))
        self.reports = [job.output / REPORT_FILE for job in jobs]
        self.results = [
            job.output / target / f"{job.recipe.model.stem}.rknn"
            for job in jobs
            for target in job.recipe.run.target
        ]
        files = dict.fromkeys([*self.results, *self.reports, whole_report(jobs)])
        for file in files:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text("")
        write_depfile(Path("depfile"), jobs, self._recipe)
        lines = [f"echo $* >> {self._runs}", "cp depfile build/report.d"]
        lines += [f"mkdir -p {file.parent}; touch {file}" for file in files]
        Path("run.sh").write_text("\n".join(lines))

    def runs(self) -> list[str]:
        """What make runs of rockpress."""
        self._runs.write_text("")
        line = ["make", "-f", "rockpress.mk", "ROCKPRESS=sh run.sh"]
        done = subprocess.run(line, capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")
        return self._runs.read_text().splitlines()


@pytest.mark.parametrize(
    "models",
    [
        'model = "small_cnn.onnx"\noutput = "elsewhere"\n',
        '[models.a]\nmodel = "small_cnn.onnx"\n[models.b]\nmodel = "other.onnx"\n',
    ],
    ids=["one", "several"],
)
def test_make_runs_once_for_all_and_only_when_it_must(place: Path, models: str) -> None:
    shutil.copyfile("small_cnn.onnx", "other.onnx")
    made = Made(f'calib = "images"\ntarget = ["rk3588", "rk3576"]\n{models}')
    run = ["run rockpress.toml -o build --depfile build/report.d"]
    assert made.runs() == run
    assert made.runs() == []
    assert len(made.results) == 2 * len(made.reports)
    for removed in [*made.results, *made.reports, Path("build/report.json"), Path("build/passed")]:
        removed.unlink()
        assert (made.runs(), made.runs()) == (run, []), removed
    for changed in [next(Path("images").iterdir()), Path("small_cnn.onnx"), Path("rockpress.toml")]:
        age_files()  # make may be done within the tick of the file system's clock
        changed.touch()
        assert (made.runs(), made.runs()) == (run, []), changed
