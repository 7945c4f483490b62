"""``rockpress tune --scheduler``: the bundled model on a cluster of this machine."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from commands import COMMAND, Run, in_a_process
from dask_cluster import DaskCluster, dask_cluster, trials_below, wait_until
from rockpress.calibration_data.bundled import (
    CALIBRATION,
    DEMO_PREPROCESS,
    MODEL,
    TEST,
    sample_path,
)

pytest.importorskip("distributed")
pytestmark = pytest.mark.toolkit
_SPACE = 'prune = ["off"]\nmethod = ["min-max"]\nmixed = ["off"]\nscheme = ["w8a8", "float16"]'


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaskCluster]:
    with dask_cluster(tmp_path_factory.mktemp("cluster"), 2) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a recipe and what it reads, none of which the workers are told of."""
    folder = tmp_path_factory.mktemp("here")
    for name in (MODEL, CALIBRATION, TEST):
        shutil.copy(sample_path(name), folder / name)
    (folder / "rockpress.toml").write_text(
        f'model = "{MODEL}"\ncalib = "{CALIBRATION}"\ncalib-count = 32\neval = "{TEST}"\n'
        f"mean = {list(DEMO_PREPROCESS.mean)}\nstd = {list(DEMO_PREPROCESS.std)}\n"
        f"[tune]\n{_SPACE}\n"
    )
    return folder


@pytest.fixture(scope="module")
def tuned(cluster: DaskCluster, here: Path) -> Path:
    words = ("tune", here / "rockpress.toml", "--scheduler", cluster.address, "-o", here / "out")
    done = in_a_process(*words, "--json", timeout=1800)
    assert done.returncode == 0, done.stderr
    (here / "said.json").write_text(done.stdout)
    return here


def test_the_front_and_its_files_are_here(tuned: Path, cluster: DaskCluster) -> None:
    report = json.loads((tuned / "out" / "tune.json").read_text())
    assert report == json.loads((tuned / "said.json").read_text())
    assert [point["stage"] for point in report["points"]] == ["all samples"] * 2
    for number in report["front"]:
        point = report["points"][number]
        folder = tuned / "out" / point["folder"]
        assert point["unseen"]["value"] > 0.9
        assert list((folder / "rk3588").glob("*.rknn"))
        for file in ("recipe.toml", "report.json"):
            text = (folder / file).read_text()
            assert f'"{tuned / MODEL}"' in text
            assert str(cluster.folder) not in text
    there = {f"points/{path.name}" for path in (tuned / "out" / "points").iterdir()}
    assert there == {point["folder"] for point in report["points"]} - {None}


def test_what_a_point_wrote_can_be_checked_here(tuned: Path, rockpress: Run) -> None:
    report = json.loads((tuned / "out" / "tune.json").read_text())
    point = report["points"][report["front"][0]]
    recipe = tuned / "out" / point["folder"] / "recipe.toml"
    assert rockpress("run", recipe, "--dry-run").code == 0


def test_the_workers_ran_the_stages_and_have_the_files_once(
    tuned: Path, cluster: DaskCluster
) -> None:
    bundled = [
        path for path in (cluster.folder / "cache").glob("??/*/files/**/*") if path.is_file()
    ]
    models = [path for path in bundled if path.name == MODEL]
    assert [path.read_bytes() for path in models] == [(tuned / MODEL).read_bytes()]
    assert not list((cluster.folder / "cache").glob("rockpress-*"))
    wait_until(lambda: not trials_below(cluster.folder))


def test_the_same_search_again_measures_nothing(
    tuned: Path, cluster: DaskCluster, rockpress: Run
) -> None:
    before = (tuned / "out" / "trials.jsonl").read_bytes()
    removed = next((tuned / "out" / "points").iterdir())
    shutil.rmtree(removed)
    words = ("tune", tuned / "rockpress.toml", "--scheduler", cluster.address, "-o", tuned / "out")
    again = rockpress(*words)
    assert again.code == 0, again.err
    assert (tuned / "out" / "trials.jsonl").read_bytes() == before
    assert list((removed / "rk3588").glob("*.rknn"))


def search_at_work(
    cluster: DaskCluster, here: Path, out: Path, *more: object
) -> subprocess.Popen[str]:
    """Return a search by a cluster that has begun with a trial, or has ended."""
    words = ["tune", here / "rockpress.toml", "--scheduler", cluster.address, "-o", out, *more]
    process = subprocess.Popen([*COMMAND, *map(str, words)], stderr=subprocess.PIPE, text=True)
    wait_until(lambda: trials_below(cluster.folder) or process.poll() is not None)
    return process


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)]
)
def test_an_end_of_the_search_ends_its_trials(
    number: signal.Signals, code: int, cluster: DaskCluster, here: Path, tmp_path: Path
) -> None:
    process = search_at_work(cluster, here, tmp_path / "out", "--calib-count", number + 20)
    process.send_signal(number)
    said = process.communicate(timeout=120)[1]
    assert process.returncode == code
    if number == signal.SIGINT:
        assert "the same command goes on after it" in said
    assert not json.loads((tmp_path / "out" / "tune.json").read_text())["is_final"]
    wait_until(lambda: not trials_below(cluster.folder))


def test_a_scheduler_that_does_not_answer_is_one_error(here: Path, rockpress: Run) -> None:
    words = ("tune", here / "rockpress.toml", "--scheduler", "tcp://127.0.0.1:1", "-o", here / "no")
    ended = rockpress(*words)
    assert ended.code == 1
    assert "no scheduler answers there" in ended.err
    assert ended.err.count("error: ") == 1


@pytest.mark.parametrize(
    "address", ["127.0.0.1:8786", "http://h:1", "tcp://h", "tcp://h:99999", "tcp://a b:1"]
)
def test_what_is_no_address_is_a_usage_error(address: str, here: Path, rockpress: Run) -> None:
    ended = rockpress("tune", here / "rockpress.toml", "--scheduler", address)
    assert ended.code == 2
    assert "tcp://HOST:PORT" in ended.err


def test_a_lost_scheduler_leaves_what_there_is(here: Path, tmp_path: Path) -> None:
    with dask_cluster(tmp_path / "cluster", 1) as cluster:
        process = search_at_work(cluster, here, tmp_path / "out")
        cluster.scheduler.kill()
        said = process.communicate(timeout=300)[1]
        assert process.returncode == 1
        assert "the scheduler was lost" in said
        assert "the same command goes on" in said
        assert not json.loads((tmp_path / "out" / "tune.json").read_text())["is_final"]
        wait_until(lambda: not trials_below(cluster.folder))


def test_tls_without_certificates_is_one_error(here: Path, rockpress: Run) -> None:
    words = ("tune", here / "rockpress.toml", "--scheduler", "tls://127.0.0.1:1", "-o", here / "no")
    ended = rockpress(*words)
    assert ended.code == 1
    assert "there are no certificates for TLS" in ended.err
