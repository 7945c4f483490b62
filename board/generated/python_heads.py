"""How a detector's outputs are decoded, in Python."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from .head_plan import BOX, HeadPlan, Place
from .template_files import filled


def python_decoding(plan: HeadPlan) -> str:
    """Return functions that make corners and scores of the outputs."""
    parts = [_DECODERS[plan.kind](plan)]
    points = [_points(plan)] if plan.points else []
    if "rows(" in parts[0]:
        parts.insert(0, _rows(plan))
    if "probabilities(" in parts[-1]:
        parts.insert(-1, filled("probabilities.py"))
    return "\n\n\n".join([*parts, *points])


def _points(plan: HeadPlan) -> str:
    """Return the function that makes keypoints of the outputs, in the order of the boxes."""
    places = [scale.points for scale in plan.scales if scale.points is not None]
    numbers = {"points": plan.points, "numbers": plan.point_numbers}
    index, first = places[0]
    if plan.kind == "rows":
        values = _row_text(plan, places[0])
        return filled("find_points_rows.py", values=values, first=first, **numbers)
    scales = [
        f"({scale.stride}, {scale.columns}, {place[0]})"
        for scale, place in zip(plan.scales, places, strict=True)
    ]
    return filled(
        "find_points_maps.py",
        scales=_table(scales),
        points_slice=_slice(plan, (index, first), plan.points * plan.point_numbers),
        moved="2 * points + places" if plan.bins > 1 else "points + places + 0.5",
        **numbers,
    )


def _rows(plan: HeadPlan) -> str:
    """Return the function that makes rows of an output, whichever way it stands."""
    used = {place[0] for scale in plan.scales for place in (scale.boxes, scale.scores)}
    planar = {plan.tables[index].planar for index in used}
    if planar == {True}:
        return filled("rows.py", row="cell", columns="channels", reshape="output.shape[1], -1).T")
    return filled("rows.py", row="box", columns="values", reshape="-1, output.shape[-1])")


def _own_rows(plan: HeadPlan) -> str:
    """Return the decoder of rows; each of two outputs may stand its own way."""
    (scale,) = plan.scales
    corners = []
    if plan.centred:
        corners += ["middles, half = boxes[:, :2], boxes[:, 2:] / 2"]
        corners += ["corners = np.concatenate([middles - half, middles + half], axis=1)"]
    else:
        corners += ["corners = boxes"]
    sides = "corners * np.array([WIDTH, HEIGHT, WIDTH, HEIGHT])"
    if plan.relative == "relative":
        corners += [f"corners = {sides}  # they are shares of the input"]
    elif plan.relative == "auto":
        corners += ["if np.abs(corners).max() <= 2:  # they are shares of the input"]
        corners += [f"    corners = {sides}"]
    return filled(
        "decode_rows.py",
        boxes=_row_text(plan, scale.boxes),
        corners="\n".join(f"    {line}" for line in corners),
        scores="\n".join(f"    {line}" for line in _row_scores(plan)),
    )


def _row_text(plan: HeadPlan, place: Place) -> str:
    index, table = place[0], plan.tables[place[0]]
    shape = f"outputs[{index}].reshape({table.channels}, {table.cells}).T"
    return shape if table.planar else f"outputs[{index}].reshape({table.cells}, {table.channels})"


def _row_scores(plan: HeadPlan) -> list[str]:
    (scale,) = plan.scales
    index, first = scale.scores
    values = "values" if index == scale.boxes[0] else _row_text(plan, scale.scores)
    if plan.has_class:
        return [
            f"scores = np.zeros((len(values), max({plan.classes}, int(values[:, 5].max()) + 1)))",
            "scores[np.arange(len(values)), np.maximum(values[:, 5].astype(int), 0)] = values[:, "
            "4]",
        ]
    if plan.points:
        return [f"scores = probabilities({values}[:, {first}:{first + plan.classes}])"]
    if scale.objectness is not None:
        return [
            f"scores = probabilities(values[:, {first}:]) * probabilities(values[:, 4:5])",
        ]
    return [f"scores = probabilities({values}{f'[:, {first}:]' if first else ''})"]


def _distances(plan: HeadPlan) -> str:
    scales = [
        f"({scale.stride}, {scale.columns}, {scale.boxes[0]}, {scale.scores[0]})"
        for scale in plan.scales
    ]
    first = plan.scales[0]
    width = BOX * plan.bins
    return filled(
        "decode_distances.py",
        scales=_table(scales),
        sides_slice=_slice(plan, first.boxes, width),
        scores_slice=_slice(plan, first.scores, plan.classes),
        mean="\n" + filled("mean_of_bins.py", bins=plan.bins) if plan.bins > 1 else "",
    )


def _slice(plan: HeadPlan, place: Place, count: int) -> str:
    """Return the channels that count, nothing where all do."""
    index, first = place
    whole = first == 0 and count == plan.tables[index].channels
    return "" if whole else f"[:, {first}:{first + count}]"


def _anchors(plan: HeadPlan) -> str:
    scales = [
        f"({scale.stride}, {scale.boxes[0]}, {_whole(scale.anchors)})" for scale in plan.scales
    ]
    planar = plan.tables[plan.scales[0].boxes[0]].planar
    channels = plan.classes + BOX + 1
    maps = f"outputs[output].reshape(3, {channels}, *outputs[output].shape[2:])"
    return filled(
        "decode_anchors.py",
        scales=_table(scales),
        classes=plan.classes,
        values=f"np.moveaxis({maps}, 1, 3)" if planar else "outputs[output][0]",
    )


def _yolox(plan: HeadPlan) -> str:
    scales = [f"({scale.stride}, {scale.columns}, {scale.rows})" for scale in plan.scales]
    first = plan.scales[0]
    if first.boxes[0] == plan.scales[-1].boxes[0]:
        return filled(
            "decode_yolox.py",
            scales=_table(scales),
            parts="",
            values=f"rows(outputs[{first.boxes[0]}])",
        )
    parts = []
    for scale in plan.scales:
        assert scale.objectness is not None
        order = (scale.boxes[0], scale.objectness[0], scale.scores[0])
        parts.append(str(tuple(dict.fromkeys(order))))
    return filled(
        "decode_yolox.py",
        scales=_table(scales),
        parts=f"# the outputs with box, objectness and classes of each\nPARTS = {_table(parts)}\n",
        values="np.concatenate(\n        [np.concatenate([rows(outputs[part]) for part in parts], "
        "axis=1) for parts in PARTS]\n    )",
    )


def _retinaface(plan: HeadPlan) -> str:
    scales = [
        f"({scale.stride}, {scale.columns}, {scale.rows}, "
        f"({scale.anchors[0][0]:g}, {scale.anchors[1][0]:g}))"
        for scale in plan.scales
    ]
    boxes = tuple(dict.fromkeys(scale.boxes[0] for scale in plan.scales))
    pairs = tuple(dict.fromkeys(scale.scores[0] for scale in plan.scales))
    return filled("decode_retinaface.py", scales=_table(scales), boxes=boxes, pairs=pairs)


def _scrfd(plan: HeadPlan) -> str:
    scales = [
        f"({scale.stride}, {scale.columns}, {scale.boxes[0]}, {scale.scores[0]})"
        for scale in plan.scales
    ]
    return filled("decode_scrfd.py", scales=_table(scales), each=plan.each)


def _table(entries: Iterable[str]) -> str:
    return "(\n" + "".join(f"    {entry},\n" for entry in entries) + ")"


def _whole(anchors: tuple[tuple[float, float], ...]) -> str:
    return "(" + ", ".join(f"({width:g}, {height:g})" for width, height in anchors) + ")"


_DECODERS: Mapping[str, Callable[[HeadPlan], str]] = {
    "rows": _own_rows,
    "distances": _distances,
    "anchors": _anchors,
    "yolox": _yolox,
    "retinaface": _retinaface,
    "scrfd": _scrfd,
}
