"""How a detector's outputs are decoded, in C."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from .head_plan import HeadPlan, HeadScale
from .template_files import filled

# whose boxes are decoded with what was found out about the scores
_LOGITS_FOR_BOXES = ("anchors",)


def c_decoding(plan: HeadPlan) -> str:
    """Return the functions up to ``decode``, which collects the candidates."""
    if plan.kind == "rows":
        return _own_rows(plan)
    argument = "logits, scale" if plan.kind in _LOGITS_FOR_BOXES else "scale"
    cells = filled("cells.c", argument=argument)
    scores = filled("probability.c") if plan.kind == "retinaface" else _scores()
    return "\n\n".join([scores, _DECODERS[plan.kind](plan), cells])


def _scores() -> str:
    return f"{filled('logits.c')}\n\n{filled('probability.c')}"


def c_points(plan: HeadPlan) -> str:
    """Return the function that finds the points of a box."""
    places = [scale.points for scale in plan.scales if scale.points is not None]
    if plan.kind == "rows":
        return filled("find_points_rows.c", first=places[0][1], numbers=plan.point_numbers)
    return filled(
        "find_points_maps.c",
        places=", ".join(f"{{{output}, {channel}}}" for output, channel in places),
        numbers=plan.point_numbers,
        moved="2 * value + (float)cell[axis]"
        if plan.bins > 1
        else "value + (float)cell[axis] + 0.5f",
    )


def _own_rows(plan: HeadPlan) -> str:
    (scale,) = plan.scales
    defines = [f"#define BOXES {scale.boxes[0]} /* the output */"]
    is_share = {"pixels": "0", "relative": "1", "auto": "are_shares(outputs)"}[plan.relative]
    if plan.has_class:
        decode = filled("rows_class.c", is_share=is_share)
    else:
        defines += [f"#define SCORES {scale.scores[0]}", f"#define SCORES_AT {scale.scores[1]}"]
        defines += [f"#define CLASSES {plan.classes}"]
        has_object = scale.objectness is not None
        decode = filled(
            "rows_scores.c",
            is_share=is_share,
            objectness_logits=_OBJECT_LOGITS if has_object else "",
            objectness=_OBJECT if has_object else "",
        )
    parts = filled(
        "decode_rows.c",
        defines="\n".join(defines),
        centred=filled("centred.c") + "\n" if plan.centred else "",
        are_shares=filled("shares_auto.c") + "\n" if plan.relative == "auto" else "",
        decode=decode,
    )
    return parts if plan.has_class else f"{_scores()}\n\n{parts}"


_OBJECT_LOGITS = "    int is_object_logit = are_logits(outputs, BOXES, 4, 1);\n"
_OBJECT = "            score *= probability(at(outputs, BOXES, row, 4), is_object_logit);\n"


def _distances(plan: HeadPlan) -> str:
    return filled(
        "decode_distances.c",
        classes=plan.classes,
        bins=plan.bins,
        each=plan.each,
        count=len(plan.scales),
        middle="0.5" if plan.kind == "distances" else "0.0",
        scales=_scales(plan, lambda scale: (*scale.boxes, *scale.scores)),
    )


def _anchors(plan: HeadPlan) -> str:
    entries = []
    for scale in plan.scales:
        anchors = ", ".join(f"{{{width:g}, {height:g}}}" for width, height in scale.anchors)
        numbers = f"{scale.stride}, {scale.columns}, {scale.rows}, {scale.boxes[0]}"
        entries.append(f"    {{{numbers}, {{{anchors}}}}},")
    return filled(
        "decode_anchors.c",
        classes=plan.classes,
        count=len(plan.scales),
        scales="\n".join(entries),
    )


def _yolox(plan: HeadPlan) -> str:
    def places(scale: HeadScale) -> tuple[int, ...]:
        assert scale.objectness is not None
        return (scale.start, *scale.boxes, *scale.objectness, *scale.scores)

    return filled(
        "decode_yolox.c",
        classes=plan.classes,
        count=len(plan.scales),
        scales=_scales(plan, places),
    )


def _retinaface(plan: HeadPlan) -> str:
    entries = []
    for scale in plan.scales:
        sides = ", ".join(f"{side:g}" for side, _ in scale.anchors)
        numbers = (scale.stride, scale.columns, scale.rows, scale.start)
        places = (*numbers, scale.boxes[0], scale.scores[0])
        entries.append(f"    {{{', '.join(map(str, places))}, {{{sides}}}}},")
    scales = "\n".join(entries)
    return filled("decode_retinaface.c", count=len(plan.scales), scales=scales)


def _scales(plan: HeadPlan, places: Callable[[HeadScale], tuple[int, ...]]) -> str:
    entries = ((scale.stride, scale.columns, scale.rows, *places(scale)) for scale in plan.scales)
    return "\n".join(f"    {{{', '.join(map(str, entry))}}}," for entry in entries)


_DECODERS: Mapping[str, Callable[[HeadPlan], str]] = {
    "distances": _distances,
    "scrfd": _distances,
    "anchors": _anchors,
    "yolox": _yolox,
    "retinaface": _retinaface,
}
