"""How outputs are read elsewhere than in a metric: from the metric and their shapes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from rockpress.accuracy.metrics.metric_table import bind_metric
from rockpress.core.results.reading import Reading
from rockpress.core.types import Shape
from rockpress.pipeline.tasks.output_reading import reading_of

_HALVES: dict[str, Shape] = {"a": (1, 4, 84), "b": (1, 5, 84)}


def reading(
    metric: str,
    shapes: Mapping[str, Shape],
    options: Mapping[str, str] | None = None,
    read: tuple[str, ...] = (),
) -> Reading:
    scoring = bind_metric(metric, options, read, list(shapes), input_size=(64, 64))
    return reading_of(scoring, shapes)


def test_a_classifier_has_classes_in_the_output_that_is_read() -> None:
    assert reading("top1", {"y": (1, 10)}) == Reading("classes", (0,))
    shapes: dict[str, Shape] = {"x": (1, 3, 8, 8), "y": (1, 10)}
    assert reading("top5", shapes, read=("y",)) == Reading("classes", (1,))
    assert reading("top1", shapes) == Reading("values", (0, 1))


def test_a_detector_has_its_head_and_the_limits_of_the_metric() -> None:
    given = reading("map50", _HALVES)
    assert given == Reading("boxes", (0, 1), head="boxes-scores", score=0.3, overlap=0.7)
    given = reading("map", _HALVES, {"score": "0.25", "overlap": "0.45"})
    assert (given.score, given.overlap) == (0.25, 0.45)
    assert reading("map", {"y": (1, 100, 6)}, {"head": "end2end"}).overlap is None
    anchors = "1,2,3,4,5,6"
    given = reading("map", {"y": (1, 30, 8, 8)}, {"head": "yolov5", "anchors": anchors})
    assert given.anchors == (((1.0, 2.0), (3.0, 4.0), (5.0, 6.0)),)


def test_poses_have_their_points() -> None:
    given = reading("pose", {"y": (1, 56, 84)})
    assert (given.task, given.head, given.points, given.point_numbers) == ("poses", "yolov8", 17, 3)
    assert reading("pose", {"y": (1, 300, 57)}).head == "end2end"


def test_a_segmenter_has_the_output_of_its_classes() -> None:
    assert reading("miou", {"y": (1, 19, 64, 64)}) == Reading("segments", (0,))
    assert reading("miou", {"y": (1, 4, 64, 64), "z": (1, 64, 64)}, read=("z",)).outputs == (1,)
    assert reading("miou", {"y": (1, 19)}).task == "values"


def test_a_finder_of_text_has_the_limits_of_the_metric() -> None:
    given = reading("text-boxes", {"y": (1, 1, 64, 64)}, {"score": "0.7"})
    assert given == Reading("lines", (0,), score=0.7, threshold=0.3, unclip=1.5)
    assert reading("text-boxes", {"y": (1, 2, 64, 64)}).task == "values"


def test_a_recogniser_has_the_place_of_its_blank(tmp_path: Path) -> None:
    (tmp_path / "keys.txt").write_text("a\nb\n")
    options = {"charset": str(tmp_path / "keys.txt"), "blank": "last"}
    assert reading("cer", {"y": (1, 9, 3)}, options) == Reading("text", (0,), blank="last")


@pytest.mark.parametrize(
    ("metric", "shapes"),
    [
        ("map50", {"a": (1, 3), "b": (1, 7, 7)}),
        ("pose", {"y": (1, 6, 84), "z": (1, 1, 3)}),
        ("mask", _HALVES),
    ],
)
def test_what_only_a_metric_can_read_is_left_as_it_is(
    metric: str, shapes: dict[str, Shape]
) -> None:
    given = reading(metric, shapes)
    assert given == Reading("values", tuple(range(len(shapes))))
