"""``python toy_tune.py tune ...``: the real command, whose points toy_trial.py measures."""

from __future__ import annotations

from functools import partial

from rockpress.cli.entry import main
from rockpress.pipeline import tune, tune_references
from rockpress.pipeline.search import recipe_evaluator
from rockpress.pipeline.search.points import Measure, Outcome
from rockpress.pipeline.search.trial_process import TrialJob
from toy_search import PROGRAM
from toy_trial import begin, rung_of

__all__ = ["rung_of", "tune"]  # tune is loaded here: what is replaced is so in all processes


def toolkit_outcome(*_: object) -> Outcome:
    begin("toolkit")
    return Measure(9.0, 0.9, 0.8, 0.95, {"ms": 9.0, "bytes": 5e5})


if __name__ == "__main__":
    setattr(recipe_evaluator, "TrialJob", partial(TrialJob, program=PROGRAM))  # noqa: B010
    setattr(tune_references, "toolkit_outcome", toolkit_outcome)  # noqa: B010
    main()
