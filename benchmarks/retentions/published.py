"""What others publish of their own int8 quantizers: int8's metric over float's, in per cent.

Each is of labelled data (ImageNet's top-1, COCO's mAP), calibrated without labels, on the maker's
own chip or runtime.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Mark:
    """The marks of one model, as published; ``ours`` names the subject that is the nearest."""

    model: str
    ours: str = ""
    hailo: str = ""
    axelera: str = ""
    nncf: str = ""
    esp_dl: str = ""
    rk3588: str = ""


SOURCES = (
    "Hailo-8: hailo_model_zoo c83fc03, docs/public_models/HAILO8",
    "Axelera: voyager-sdk 59c4894, docs/reference/model_zoo.md",
    "NNCF: the reference accuracies of its conformance tests (ONNX)",
    "ESP-DL: esp-dl 12c0616, docs/en/tutorials (TQT: scales and weights trained on calibration "
    "data)",
    "RK3588: the toolkit's own quantizer (2.3.2) on a board, 1,000 images of COCO: "
    "zshi20000922-a11y/RK3588-Yolo-Profile, reports/YOLO-performance-summary.md",
)
MARKS = (
    Mark("EfficientNet-Lite0", "efficientnet-lite0", hailo="98.4", nncf="99.6"),
    Mark("MobileNetV2", "", "98.7", "97.8", "99.3", "98.0; TQT 99.9"),
    Mark("MobileNetV3-Large", "", "99.4"),
    Mark("ResNet-50", "", "99.3", "99.7", "99.7"),
    Mark("YOLOv5s", "", "96.6", rk3588="80.5"),
    Mark("YOLOv8n", "nudenet-320n", "98.4", "96.8", rk3588="93.3"),
    Mark("YOLO11n", "", "96.9", rk3588="92.6"),
)
