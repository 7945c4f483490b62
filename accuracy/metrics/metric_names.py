"""The names of the metrics, read from the sources of their modules: no numpy is imported."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

# what other tools and people call them
METRICS_ELSEWHERE = {
    **dict.fromkeys(("accuracy", "acc", "top-1-accuracy", "classification"), "top1"),
    **dict.fromkeys(("coco", "ap", "map50-95", "map5095", "map@50:95"), "map"),
    **dict.fromkeys(("ap50", "map@50", "map@0.5", "detection", "boxes"), "map50"),
    **dict.fromkeys(("iou", "mean-iou", "jaccard", "segmentation"), "miou"),
    **dict.fromkeys(("oks", "keypoints"), "pose"),
    **dict.fromkeys(("wer", "character-error-rate"), "cer"),
    **dict.fromkeys(("cos", "similarity", "embedding"), "cosine"),
    **dict.fromkeys(("l1", "mean-absolute-error"), "mae"),
    **dict.fromkeys(("ocr", "text"), "line-accuracy"),
    "f1": "vad-f1",
    "recall": "recall@K",
}
_TABLE = re.compile(r"^METRICS\b", re.MULTILINE)


@cache
def metric_modules() -> Mapping[str, str]:
    """Return name -> module of this package, of every entry of the modules' METRICS tables.

    >>> metric_modules()["topK"]
    'classification'
    """
    modules: dict[str, str] = {}
    for source in sorted(files(__package__).iterdir(), key=lambda source: source.name):
        if source.name.endswith(".py"):
            module = source.name.removesuffix(".py")
            for name in _names_in(source.read_text(encoding="utf-8"), module):
                other = modules.setdefault(name, module)
                assert other == module, f"the metric {name} is in {other}.py and in {module}.py"
    return modules


def _names_in(source: str, module: str) -> list[str]:
    """Return the keys of the table of a module; none where it has no table."""
    begin = _TABLE.search(source)
    if begin is None:
        return []
    table = ast.parse(source[begin.start() :]).body[0]
    if not (isinstance(table, ast.AnnAssign) and isinstance(table.value, ast.Dict)):
        raise AssertionError(
            f"{module}.py: write METRICS: MetricTable = {{...}}, names as plain texts"
        )
    return [ast.literal_eval(key) for key in table.value.keys if key is not None]
