"""The cache of finished stages: right, whole, bounded, and shared without harm."""

from __future__ import annotations

import json
import math
import os
import random
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from commands import COMMAND, Run
from rockpress.core.diagnostics import Diagnostic
from rockpress.core.errors import ModelError
from rockpress.core.files import sha256_of
from rockpress.core.results.model_figures import LatencyFigure, ModelRow
from rockpress.core.results.report import Report
from rockpress.pipeline.caching.cache_folder import cache_folder
from rockpress.pipeline.caching.encoding import NotStorable, read_value, write_value
from rockpress.pipeline.caching.stage_cache import Cache, entry_name, watch_hits
from rockpress.pipeline.options.check_options import Gates
from rockpress.pipeline.recipes.recipe import make_recipe
from rockpress.pipeline.run import run
from rockpress.report.documents.document import comparable, to_document

pytestmark = pytest.mark.toolkit

DETERMINISTIC = (".intended.onnx", ".plan.toml", ".pruned.onnx")


class Maker:
    """Makes a file and a result, and counts how often."""

    def __init__(self, result: Any = "made") -> None:
        self.calls = 0
        self.result = result

    def __call__(self, folder: Path) -> Any:
        self.calls += 1
        (folder / "sub").mkdir()
        (folder / "sub" / "file").write_text(f"content {self.result}")
        return self.result


# Results as files


def test_results_come_back_as_they_were(tmp_path: Path) -> None:
    row = ModelRow("rknn", None, 3, latency=(LatencyFigure("host", 1.5, high=math.inf),))
    value: dict[Any, Any] = {
        "row": (row, [row]),
        ("a", 1): Path("x/y"),
        "notice": Diagnostic("a-b", "text é"),
        "number": np.float64(31.25),
        "arrays": [np.arange(6, dtype=np.float32).reshape(2, 3), np.zeros(0, np.int8)],
    }
    write_value(value, tmp_path)
    again = read_value(tmp_path)
    arrays, others = again.pop("arrays"), value.pop("arrays")
    assert again == value
    for one, other in zip(arrays, others, strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("value", [ModelError("x", "y"), {"a": object()}, [len]])
def test_results_that_are_not_plain_are_not_stored(value: Any, tmp_path: Path) -> None:
    with pytest.raises(NotStorable):
        write_value(value, tmp_path)


@pytest.mark.parametrize(
    "place",
    ["os:system", "subprocess:Popen", "rockpress.core.files:write_text", "rockpress:nothing"],
)
def test_results_of_other_packages_are_not_made(place: str, tmp_path: Path) -> None:
    (tmp_path / "value.json").write_text(json.dumps({"result": {"__kind__": place, "fields": {}}}))
    with pytest.raises(ValueError, match="is no result"):
        read_value(tmp_path)


# Entries


def test_a_result_is_made_once(tmp_path: Path) -> None:
    cache, make = Cache(tmp_path / "cache"), Maker()
    for number in range(3):
        with watch_hits() as lookups:
            place = tmp_path / f"place{number}"
            assert cache.get_or_compute("kind", {"a": 1}, make, place) == "made"
            assert (place / "sub" / "file").read_text() == "content made"
            assert lookups.all_were_hits == (number > 0)
    assert make.calls == 1
    for kind, inputs in (("other", {"a": 1}), ("kind", {"a": 2})):
        cache.get_or_compute(kind, inputs, make, tmp_path / "place")
    assert make.calls == 3
    Cache(tmp_path / "cache", fresh=True).get_or_compute("kind", {"a": 1}, make, tmp_path / "place")
    assert make.calls == 4
    assert len(cache.entries()) == 3


@pytest.mark.parametrize("damage", ["cut", "gone", "value", "sums", "seconds"])
def test_a_damaged_entry_is_made_again(damage: str, tmp_path: Path) -> None:
    cache, make = Cache(tmp_path / "cache"), Maker()
    cache.get_or_compute("kind", {}, make, tmp_path / "place")
    (entry,) = cache.entries()
    file = entry.folder / "files" / "sub" / "file"
    if damage == "cut":
        file.write_text("cont")
    elif damage == "gone":
        file.unlink()
    else:
        (entry.folder / f"{damage}.json").write_text("{")
    for _ in range(2):
        assert cache.get_or_compute("kind", {}, make, tmp_path / "new") == "made"
        assert (tmp_path / "new" / "sub" / "file").read_text() == "content made"
    assert make.calls == 2


def test_a_hit_tells_how_long_it_took(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache, clock = Cache(tmp_path / "cache"), [10.0]

    def slowly(folder: Path) -> str:
        clock[0] += 2.5
        return "made"

    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    for names, seconds in (("a", 0.0), ("a", 2.5), ("bc", 0.0), ("abc", 7.5)):
        with watch_hits() as lookups:
            for name in names:
                cache.get_or_compute("kind", {"name": name}, slowly, tmp_path / "place")
        assert lookups.seconds == pytest.approx(seconds)


def test_results_that_cannot_be_stored_are_given_all_the_same(tmp_path: Path) -> None:
    cache, make = Cache(tmp_path / "cache"), Maker(ModelError("x", "y"))
    assert cache.get_or_compute("kind", {}, make, tmp_path / "place") is make.result
    assert (tmp_path / "place" / "sub" / "file").exists()
    blocked = tmp_path / "blocked"
    blocked.write_text("no folder")
    assert Cache(blocked).get_or_compute("kind", {}, Maker(), tmp_path / "place") == "made"
    assert cache.entries() == []
    assert [one for one in (tmp_path / "cache").iterdir() if one.is_dir()] == []


def test_results_of_a_failure_are_not_stored(tmp_path: Path) -> None:
    def fails(folder: Path) -> None:
        (folder / "half").write_text("")
        raise ModelError("x", "y")

    cache = Cache(tmp_path / "cache")
    with pytest.raises(ModelError):
        cache.get_or_compute("kind", {}, fails, tmp_path / "place")
    assert cache.entries() == []
    assert list((tmp_path / "place").iterdir()) == []


def test_the_longest_unused_go_first(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache", most_bytes=1)
    for number in range(4):
        cache.get_or_compute("kind", {"n": number}, Maker(), tmp_path / "place")
    assert len(cache.entries()) == 4  # all were used just now: another run may be reading them
    entries = cache.entries()
    for age, entry in enumerate(entries):
        os.utime(entry.folder, (time.time() - 9000 + age, time.time() - 9000 + age))
    cache.get_or_compute("kind", {"n": 0}, Maker(), tmp_path / "place")  # and so it is the newest
    kept = sum(one.bytes for one in cache.entries()[2:])
    removed = cache.shrink(kept)
    assert removed == sum(one.bytes for one in entries) - kept
    assert cache.entries()[-1].folder.name == entry_name("kind", {"n": 0})
    assert len(cache.entries()) == 2
    cache.shrink(0, unused=0)
    assert cache.entries() == []


@pytest.mark.parametrize("sums", ["[]", "{}", '{"value.json": "0"}', "nonsense"])
def test_an_entry_that_does_not_say_what_is_in_it_is_damaged(sums: str, tmp_path: Path) -> None:
    cache, make = Cache(tmp_path / "cache"), Maker()
    for calls in (1, 2):
        cache.get_or_compute("kind", {}, make, tmp_path / "place")
        assert make.calls == calls
        (file,) = (tmp_path / "cache").glob("??/*/sums.json")
        file.write_text(sums)


def test_a_cache_that_takes_nothing_loses_no_result(tmp_path: Path) -> None:
    """Not even root makes a folder there."""
    make = Maker()
    assert Cache(Path("/proc/self")).get_or_compute("kind", {}, make, tmp_path / "place") == "made"
    assert (tmp_path / "place" / "sub" / "file").exists()


def test_two_askers_at_once_get_the_right_result(tmp_path: Path) -> None:
    def slow(folder: Path) -> str:
        (folder / "file").write_text("x" * 1000)
        time.sleep(0.05)
        return "made"

    def ask(number: int) -> str:
        place = tmp_path / f"place{number}"
        cache = Cache(tmp_path / "cache", fresh=number % 2 == 0)
        result: str = cache.get_or_compute("kind", {}, slow, place)
        return result + str(len((place / "file").read_text()))

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(ask, range(32))) == {"made1000"}
    assert len(Cache(tmp_path / "cache").entries()) == 1


def test_the_folder_of_the_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ROCKPRESS_CACHE_DIR", str(tmp_path))
    assert cache_folder() == tmp_path
    monkeypatch.delenv("ROCKPRESS_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert cache_folder() == Path("/somewhere/rockpress")


# Runs


def statuses(report: Report) -> dict[str, str]:
    return {stage.name: stage.status for stage in report.targets[0].stages}


def test_stages_that_have_changed_are_the_ones_run_again(
    small_cnn: Path, image_folder: Path, tmp_path: Path
) -> None:
    cache, output = Cache(tmp_path / "cache"), tmp_path / "out"
    recipe = make_recipe(small_cnn, calib=image_folder, prune="macs=-20%", cache=cache)
    first = run(recipe, output)
    assert set(statuses(first).values()) == {"done"}
    made = [path for path in output.rglob("*") if path.is_file() and path.suffix != ".json"]
    files = {path: sha256_of(path) for path in made}
    for path in files:
        path.unlink()
    second = run(recipe, output)
    assert set(statuses(second).values()) == {"cached"}
    assert {path: sha256_of(path) for path in files} == files
    assert comparable(to_document(second)) == comparable(to_document(first))
    assert [one.seconds for one in second.targets[0].stages] == [
        one.seconds for one in first.targets[0].stages
    ]
    assert second.targets[0].seconds == 0.0 < first.targets[0].seconds
    written = json.loads((output / "report.json").read_text())
    assert written == json.loads(json.dumps(to_document(second)))

    image = next(image_folder.glob("*.png"))  # the report tells its name
    image.rename(image.with_name(f"{image.stem}b.png"))
    renamed = statuses(run(recipe, output))
    assert {name for name, status in renamed.items() if status == "done"} == {
        *("baseline", "check-pruned", "check-quantized", "check")
    }
    gated = run(recipe.with_options(gates=Gates(max_size_mb=1e-6)), output)
    assert not gated.passed
    known = {name for name, status in statuses(gated).items() if status == "cached"}
    assert {"reference-float16", "prune", "quantize", "convert"} <= known
    took = {stage.name: stage.seconds for stage in first.targets[0].stages}
    again = {stage.name: stage.seconds for stage in gated.targets[0].stages}
    assert all(0 < again[name] <= took[name] for name in ("prune", "quantize", "convert"))
    other = statuses(run(recipe.with_options(method="min-max"), output))
    assert (other["prune"], other["quantize"], other["convert"]) == ("cached", "done", "done")


def test_an_unchanged_run_imports_nothing_that_it_does_not_need(
    small_cnn: Path, image_folder: Path, tmp_path: Path
) -> None:
    words = ["run", str(small_cnn), "--calib", str(image_folder), "--scheme", "float16", "-q"]
    names = {"onnxruntime", "psutil", "pydantic", "rich", "rockpress.pipeline.computed_run"}
    code = f"""
import sys
from rockpress.cli import main
main.supervised = lambda command, verbose: command()
sys.argv[1:] = {words!r}
try:
    main.main()
except SystemExit as end:
    print(end.code, *sorted({names!r} & set(sys.modules)))
"""
    environment = {**os.environ, "ROCKPRESS_CACHE_DIR": str(tmp_path / "cache")}
    imported = [
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.splitlines()[-1]
        for _ in range(2)
    ]
    assert "rockpress.pipeline.computed_run" in imported[0].split()
    assert imported[1] == "0"


def test_files_of_another_way_do_not_stay(
    small_cnn: Path, image_folder: Path, tmp_path: Path
) -> None:
    """But what is not of an earlier run, or was changed since, does."""
    output, folder = tmp_path / "out", tmp_path / "out" / "rk3588"
    plain = make_recipe(small_cnn, scheme="float16", calib=image_folder)
    quantized = make_recipe(small_cnn, calib=image_folder, method="min-max", mixed="off")
    run(plain, output)
    prepared = folder / "small_cnn.prepared.onnx"
    assert prepared.exists()
    (folder / "small_cnn.notes.txt").write_text("mine")
    run(quantized, output)
    assert not prepared.exists()
    assert (folder / "small_cnn.notes.txt").read_text() == "mine"
    (folder / "small_cnn.plan.toml").write_text("changed")
    run(plain, output)
    assert prepared.exists() and not (folder / "small_cnn.intended.onnx").exists()
    assert (folder / "small_cnn.plan.toml").read_text() == "changed"


def killed_at_random(
    folder: Path, line: list[str], moments: list[float], environment: dict[str, str]
) -> None:
    for moment in moments:
        process = subprocess.Popen(
            line, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            process.wait(timeout=moment)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
    for part in (folder / "out").rglob(".*.part"):
        part.unlink()  # of a file that was just being put in place: it would stay for an hour


def check_killed(
    count: int, seconds: float, prune: str, small_cnn: Path, images: Path, folder: Path
) -> None:
    """Kill a run ``count`` times, then let it end: it is as one that nobody disturbed."""
    (folder / "temp").mkdir(parents=True)
    environment = {
        **os.environ,
        "ROCKPRESS_CACHE_DIR": str(folder / "cache"),
        "TMPDIR": str(folder / "temp"),
    }
    line = [*COMMAND, "run", str(small_cnn), "--calib", str(images)]
    line += ["--prune", prune, "-q", "-o", "out"]
    choice = random.Random(count)
    moments = [choice.uniform(0.2, seconds) for _ in range(count)]
    killed_at_random(folder, line, moments, environment)
    done = subprocess.run(line, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    budget = None if prune == "off" else prune
    whole = run(make_recipe(small_cnn, calib=images, prune=budget), folder / "whole")
    report = json.loads((folder / "out" / "report.json").read_text())
    assert comparable(report) == comparable(json.loads(json.dumps(to_document(whole))))
    names = {path.relative_to(folder / "whole") for path in (folder / "whole").rglob("*")}
    assert {path.relative_to(folder / "out") for path in (folder / "out").rglob("*")} == names
    for name in names:
        if str(name).endswith(DETERMINISTIC):
            assert sha256_of(folder / "out" / name) == sha256_of(folder / "whole" / name), name
    assert list((folder / "temp").glob("*")) == []
    assert {one.name for one in (folder / "cache").iterdir() if len(one.name) != 2} <= {
        "CACHEDIR.TAG",
        "stage-times.json",
    }


def test_five_kills_change_nothing(small_cnn: Path, image_folder: Path, tmp_path: Path) -> None:
    check_killed(5, 5, "off", small_cnn, image_folder, tmp_path / "killed")


@pytest.mark.soak
def test_a_hundred_kills_change_nothing(
    small_cnn: Path, image_folder: Path, tmp_path: Path
) -> None:
    for number in range(10):
        check_killed(10, 12, "macs=-20%", small_cnn, image_folder, tmp_path / f"killed{number}")


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rockpress: Run) -> None:
    monkeypatch.setenv("ROCKPRESS_CACHE_DIR", str(tmp_path / "cache"))
    Cache(tmp_path / "cache").get_or_compute("kind", {}, Maker(), tmp_path / "place")
    code, out, _ = rockpress("cache", "--json")
    shown = json.loads(out)
    assert (code, shown["entries"], shown["removed"]) == (0, 1, 0)
    assert rockpress("cache", "--shrink", 1)[1].endswith(f": 1 results, {shown['bytes']} B\n")
    assert rockpress("cache", "--clear")[1].endswith(f"0 B, {shown['bytes']} B removed\n")
