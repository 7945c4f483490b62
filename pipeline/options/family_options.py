"""The family that a model is of, which sets what is not given."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar

from ...core.option_kinds import Choice
from ...core.options import Options, opt
from ..families import AUTO, OFF, family_names

_OF_ULTRALYTICS = re.compile(
    r"(?:ultralytics|yolo-?(?:v?(?:3u|5u|8|9|10|11|12|13|26)[ntsmblxce]?|world|e)?)"
    r"(?:-(detect|seg|pose|obb|cls))?"
)
_TASKS = {
    **{"detect": "detect", "seg": "segment", "pose": "pose", "obb": "obb"},
    "cls": "classify",
}
_COMMON_NAMES = {
    **dict.fromkeys(("arcface", "mobilefacenet", "insightface", "adaface"), "face-embedding"),
    **dict.fromkeys(("ppocr", "pp-ocr", "paddleocr"), "paddleocr-det or paddleocr-rec"),
    **dict.fromkeys(("torchvision", "timm", "imagenet", "resnet"), "imagenet-classifier"),
    **dict.fromkeys(("resnet50", "mobilenet", "efficientnet"), "imagenet-classifier"),
    **{"paddleclas": "paddle-classifier", "silero": "silero-vad", "fsmn": "fsmn-vad"},
    "rt-detr": "rtdetr",
    "vad": "silero-vad or fsmn-vad",
}


@dataclass(eq=False, repr=False)
class FamilyName(Choice):
    """The name of a family, auto or off."""

    @property
    def metavar(self) -> str:  # type: ignore[override]
        """What help shows: not all of them."""
        return f"NAME|{AUTO}|{OFF}"

    def meant(self, text: str) -> str:
        """Return the family that models of a common name are of, or one that is written alike."""
        name = text.lower().replace("_", "-")
        export = _OF_ULTRALYTICS.fullmatch(name)
        if export is not None:
            return f"ultralytics-{_TASKS[export[1] or 'detect']}"
        return _COMMON_NAMES.get(name) or super().meant(name)


@dataclass(frozen=True)
class FamilyOptions(Options):
    """Where the values of options come from that are not given."""

    heading: ClassVar[str] = "Preprocessing"

    family: str = opt(
        AUTO,
        FamilyName(family_names),
        "Take what is not given of these, and the metric, from the model's family.",
        "run prune quantize convert check predict inspect",
        default="auto, the family that the model is recognised to be of",
    )
