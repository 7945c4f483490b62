"""Every network that is built here, by the name it has in published.csv."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import onnx

from .attention import clip_images, clip_text, lite_transformer_encoder
from .classic import (
    lprnet,
    mobilenet_v2,
    ppocr_det,
    ppocr_rec,
    resnet50_v2,
    retinaface_mobile,
    retinaface_resnet50,
)
from .yolo import V5, V8, V10, V11, yolo11, yolov5, yolov8, yolov10
from .yolo_deploy import ppyoloe, yolov6, yolov7, yolov7_tiny, yolox

ARCHITECTURES: dict[str, Callable[[], onnx.ModelProto]] = {
    "mobilenetv2-12": mobilenet_v2,
    "resnet50-v2-7": resnet50_v2,
    "yolov5s_relu": partial(yolov5, V5["s"], "relu"),
    "yolov5n": partial(yolov5, V5["n"]),
    "yolov5s": partial(yolov5, V5["s"]),
    "yolov5m": partial(yolov5, V5["m"]),
    "yolov6n": partial(yolov6, 0.25, 0.33, partial=False, bins=0),
    "yolov6s": partial(yolov6, 0.5, 0.33, partial=False, bins=0),
    "yolov6m": partial(yolov6, 0.75, 0.6, partial=True, bins=16),
    "yolov7-tiny": yolov7_tiny,
    "yolov7": yolov7,
    "yolov8n": partial(yolov8, V8["n"]),
    "yolov8s": partial(yolov8, V8["s"]),
    "yolov8m": partial(yolov8, V8["m"]),
    "yolov8n-obb": partial(yolov8, V8["n"], "obb"),
    "yolov8n-pose": partial(yolov8, V8["n"], "pose"),
    "yolov8n-seg": partial(yolov8, V8["n"], "segment"),
    "yolov8s-seg": partial(yolov8, V8["s"], "segment"),
    "yolov8m-seg": partial(yolov8, V8["m"], "segment"),
    "yolov10n": partial(yolov10, V10["n"], inverted_backbone=False),
    "yolov10s": partial(yolov10, V10["s"], inverted_backbone=True),
    "yolo11n": partial(yolo11, V11["n"]),
    "yolo11n-pose": partial(yolo11, V11["n"], pose=True),
    "yolo11s": partial(yolo11, V11["s"]),
    "yolo11m": partial(yolo11, V11["m"], nested=True),
    "yolox_s": partial(yolox, 0.5, 0.33),
    "yolox_m": partial(yolox, 0.75, 0.67),
    "ppyoloe_s": partial(ppyoloe, 0.5, 0.33),
    "ppyoloe_m": partial(ppyoloe, 0.75, 0.67),
    "yolov5n-seg": partial(yolov5, V5["n"], masks=True),
    "yolov5s-seg": partial(yolov5, V5["s"], masks=True),
    "yolov5m-seg": partial(yolov5, V5["m"], masks=True),
    "RetinaFace_mobile320": retinaface_mobile,
    "RetinaFace_resnet50_320": retinaface_resnet50,
    "lprnet": lprnet,
    "ppocrv4_det": ppocr_det,
    "ppocrv4_rec": ppocr_rec,
    "clip_images": clip_images,
    "clip_text": clip_text,
    "lite-transformer-encoder-16": lite_transformer_encoder,
}
