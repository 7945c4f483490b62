"""Time in which nothing could be done does not count."""

from __future__ import annotations

import time

import pytest

from rockpress.core.working_time import WorkingTime


def test_a_long_stop_counts_as_two_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    clock = WorkingTime()
    now += 0.5
    assert clock.seconds() == 0.5
    now += 3600
    assert clock.seconds() == 2.5
    now += 1
    clock.skip()
    assert clock.seconds() == 2.5
