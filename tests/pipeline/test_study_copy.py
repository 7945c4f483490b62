"""The copy of a search for optuna-dashboard: complete, added to later, never the search's end."""

from __future__ import annotations

from pathlib import Path

import pytest

from rockpress.core.diagnostics import Diagnostic
from rockpress.core.errors import OutputError
from rockpress.core.results.tune_report import Setting
from rockpress.pipeline.search.journal import Journal
from rockpress.pipeline.search.points import CUT_SHORT, Measure, Trial
from rockpress.pipeline.search.sampler import OptunaSampler
from rockpress.pipeline.search.search import Search, SearchLimits
from rockpress.pipeline.search.space import Knob, Space
from rockpress.pipeline.search.study_copy import StudyCopy, open_study
from toy_space import FIRST, SPACE, Toy

optuna = pytest.importorskip("optuna")


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/study.db"


def opened(url: str, warned: list[Diagnostic]) -> StudyCopy:
    return open_study(url, "toy", SPACE, warned.append)


def searched(folder: Path, url: str, trials: int) -> tuple[Trial, ...]:
    """Search the toy, of which some points fail, and copy it."""
    toy = Toy(fails=lambda point: "it crashed" if point["prune"] == 20 else "")
    warned: list[Diagnostic] = []
    search = Search(
        OptunaSampler(Space(SPACE.knobs, FIRST), 3),
        toy,
        Journal(folder / "trials.jsonl", "toy"),
        SearchLimits(trials, min_retention=0.99),
        on_told=opened(url, warned).add,
    )
    assert warned == []
    return search.run()


def test_a_search_that_goes_on_copies_what_is_missing(tmp_path: Path, url: str) -> None:
    searched(tmp_path, url, 7)
    trials = searched(tmp_path, url, 16)
    copied = optuna.load_study(study_name="toy", storage=url).get_trials()
    assert [copy.user_attrs["number"] for copy in copied] == [trial.number for trial in trials]
    states = set()
    for copy, trial in zip(copied, trials, strict=True):
        states.add(copy.state.name)
        assert copy.params == dict(trial.point.settings)
        assert copy.user_attrs.get("failure", "") == trial.failure
        assert copy.user_attrs.get("set aside", "") == trial.set_aside
        if copy.state.name == "COMPLETE":
            assert trial.measure is not None
            assert copy.values == [trial.measure.cost, trial.measure.low]
    assert states == {"COMPLETE", "FAIL", "PRUNED"}


def test_what_is_not_given_is_off_only_where_that_is_a_word_for_it(tmp_path: Path) -> None:
    values: tuple[Setting, ...] = (None, 2)
    space = Space((Knob("prune", values), Knob("rounds", values)))
    copy = open_study(f"sqlite:///{tmp_path}/other.db", "toy", space, list[Diagnostic]().append)
    copy.add(Trial(0, space.canonical({}), (Measure(1.0, 1.0, 1.0),)))
    assert copy.study.get_trials()[0].params == {"prune": "off", "rounds": "default"}


def test_what_time_has_cut_short_is_copied_when_it_has_ended(url: str) -> None:
    copy = opened(url, [])
    cut = Trial(0, FIRST[0], (Measure(1.0), Measure(1.0, 0.9, 0.8)), CUT_SHORT)
    copy.add(cut)
    assert copy.study.get_trials() == []
    copy.add(Trial(0, FIRST[0], (*cut.outcomes, Measure(1.0, 0.9, 0.85))))
    assert copy.study.get_trials()[0].values == [1.0, 0.85]


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("study.db", "could not parse"),
        ("sqlite:////nowhere/at/all/s.db", "unable to open database file"),
        ("sqlite:////dev/null/s.db", "unable to open database file"),
        ("strange://me:secret@host/db", "can't load plugin"),
        ("redis://me:secret@host", "redis"),
        ("postgresql+psycopg2://me:secret@host:port/db", "invalid literal|no module"),
        ("mysql://me:secret@localhost:1/db", "no module named|can't connect"),
    ],
)
def test_what_cannot_be_opened_is_an_error_without_the_password(url: str, text: str) -> None:
    with pytest.raises(OutputError, match=f"(?i)cannot be opened: .*{text}") as said:
        opened(url, [])
    assert "secret" not in said.value.message
    assert "\n" not in said.value.message


def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path, url: str) -> None:
    (tmp_path / "study.db").write_bytes(b"my thesis " * 1000)
    with pytest.raises(OutputError, match="not a database"):
        opened(url, [])
    assert (tmp_path / "study.db").read_bytes() == b"my thesis " * 1000


def test_what_breaks_later_is_one_warning_and_the_search_goes_on(tmp_path: Path, url: str) -> None:
    warned: list[Diagnostic] = []
    copy = opened(url, warned)
    (tmp_path / "study.db").write_bytes(b"my thesis " * 1000)
    for number in range(3):
        copy.add(Trial(number, FIRST[number], (Measure(1.0), Measure(1.0, 0.9, 0.8))))
    assert [diagnostic.code for diagnostic in warned] == ["tune-storage"]
