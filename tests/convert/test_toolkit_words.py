"""What of the toolkit's own words is told when it fails."""

from __future__ import annotations

from typing import Any

from rockpress.convert.toolkit.failures import Ending, Limits, Outcome, failure_of
from rockpress.core.errors import ToolkitError

RANDOM = """Traceback (most recent call last):
  File "rknn/api/graph_optimizer.py", line 683, in rknn.api.graph_optimizer.fold_constant
ValueError: 
Found Random node 'RandomNormalLike_5', which is not supported, please remove it manually!
"""
BAR = "I SessionPreparing :   0%|          | 0/8 [00:00<?, ?it/s]"


def failure(log: str = "", code: int = 1, **result: Any) -> ToolkitError:
    limits = Limits(timeout=60, memory_gb=4)
    error = failure_of(Ending("m.onnx for rk3588", Outcome(code, "build"), result, log, limits))
    assert error is not None
    return error


def test_a_message_on_the_line_behind_the_name_of_the_error() -> None:
    error = failure(failure="Error", text=RANDOM, stage="build", toolkit="2.5.0")
    assert "Found Random node 'RandomNormalLike_5', which is not supported" in error.message
    assert "\n" not in error.message


def test_the_last_words_of_native_code_behind_a_progress_bar() -> None:
    done = "I GraphPreparing : 100%|####| 8/8 [00:00<00:00, 8124.56it/s]\n"
    error = failure(f"I rknn building done.\n{done}{BAR}scale_inf.shape error!\n")
    assert error.message.endswith("it gave up (scale_inf.shape error!)")


def test_no_last_words() -> None:
    for log in ("", BAR, "W some warning\nI Target is None, use simulator!\n"):
        assert failure(log).message.endswith("it gave up (exit(1))")


def test_an_error_of_its_own_goes_before_the_last_words() -> None:
    error = failure("E Unknown layer\nlast words\n")
    assert error.message.endswith("it gave up (Unknown layer)")
