"""The architectures of the conversion benchmark: which network, of what size, exported by which
exporter of PyTorch.

None of them is trained: their weights are random, and scaled on samples (initialise.py). Only the
standard library is imported here, as the process that has PyTorch reads this too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .models import Input, Model

Shape = tuple[int, ...]
LEGACY, DYNAMO = "legacy", "dynamo"  # exporters
LEGACY_OPSET = 17
TIMM, TORCHVISION, OWN = "timm", "torchvision", "own"  # libraries; own is networks.py
_MEAN, _STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
_PICTURE = (1, 3, 64, 64)


@dataclass(frozen=True)
class Architecture:
    """A ``network`` of a ``library``, made with ``options``; ``name`` is that of its row.

    ``kind`` is that of its samples (samples.py).
    """

    name: str
    library: str
    network: str
    exporter: str
    shape: Shape = _PICTURE
    kind: str = "photo"
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def model(self) -> Model:
        """Return it as a model of the benchmark, whose file is exported and not fetched."""
        scale = (_MEAN, _STD) if self.kind == "photo" else ((0.0,), (1.0,))
        inputs = (Input("x", self.shape, self.kind, *scale),)
        return Model(self.name, "", self.library, "", "", "", inputs)


def _timm(name: str, exporter: str, side: int = 64, **options: Any) -> Architecture:
    """Return an architecture of timm for pictures of ``side`` by ``side`` pixels."""
    short = name.removesuffix("_224").removesuffix("_256")
    return Architecture(short, TIMM, name, exporter, (1, 3, side, side), options=options)


def _torchvision(name: str, exporter: str, side: int = 64, **options: Any) -> Architecture:
    return Architecture(name, TORCHVISION, name, exporter, (1, 3, side, side), options=options)


def _in_dynamo(architecture: Architecture) -> Architecture:
    """Return the same network as the other exporter writes it."""
    name = f"{architecture.name}-{DYNAMO}"
    return Architecture(
        name,
        architecture.library,
        architecture.network,
        DYNAMO,
        architecture.shape,
        architecture.kind,
        architecture.options,
    )


_VIT = _timm("vit_tiny_patch16_224", LEGACY, img_size=64, depth=4)
_SWIN = _timm(
    "swinv2_tiny_window8_256",
    LEGACY,
    img_size=64,
    window_size=4,
    embed_dim=48,
    depths=(2, 2, 2),
    num_heads=(2, 4, 8),
)
_MOBILEVIT = _timm("mobilevit_xxs", LEGACY)

ARCHITECTURES: tuple[Architecture, ...] = (
    _torchvision("squeezenet1_1", LEGACY),
    _torchvision("mobilenet_v2", DYNAMO),
    _torchvision("mobilenet_v3_small", LEGACY),
    _torchvision("shufflenet_v2_x0_5", DYNAMO),
    _timm("resnet10t", LEGACY),
    _timm("lcnet_050", DYNAMO),
    _VIT,
    _in_dynamo(_VIT),
    _MOBILEVIT,
    _in_dynamo(_MOBILEVIT),
    _SWIN,
    _in_dynamo(_SWIN),
    _timm("efficientnet_lite0", DYNAMO),
    _timm("efficientnet_b0", LEGACY),
    _timm("regnety_002", LEGACY),
    _timm("convnext_atto", DYNAMO),
    _timm("deit_tiny_distilled_patch16_224", DYNAMO, img_size=64, depth=4),
    _timm("mobilevitv2_050", DYNAMO),
    _timm("edgenext_xx_small", LEGACY),
    _timm("xcit_nano_12_p8_224", LEGACY, img_size=64, depth=4),
    _timm("pvt_v2_b0", LEGACY),
    _timm("fastvit_t8", DYNAMO),
    _timm("fasternet_t0", LEGACY),
    _timm("ghostnet_050", LEGACY),
    _timm("densenet121", LEGACY, growth_rate=16, block_config=(3, 6, 6, 4)),
    _timm("mnasnet_050", DYNAMO),
    _timm("repvgg_a0", LEGACY),
    _timm("efficientformer_l1", DYNAMO, 224),
    _timm("efficientvit_b0", LEGACY),
    _timm("efficientvit_m0", DYNAMO, img_size=64),
    _timm("maxvit_pico_rw_256", LEGACY, img_size=64, depths=(1, 1, 1, 1)),
    Architecture("mixer", OWN, "mixer", LEGACY),
    _timm("hrnet_w18_small", LEGACY),
    _timm("tiny_vit_5m_224", LEGACY, depths=(1, 1, 2, 1)),
    _timm("mobilenetv4_conv_small", DYNAMO),
    _timm("starnet_s050", DYNAMO),
    Architecture("lraspp", OWN, "lraspp", LEGACY),
    Architecture("deeplabv3", OWN, "deeplabv3", DYNAMO),
    Architecture("ssdlite", OWN, "ssdlite", LEGACY, (1, 3, 128, 128)),
    Architecture("fcos", OWN, "fcos", DYNAMO, (1, 3, 128, 128)),
    Architecture("gru", OWN, "gru", LEGACY, (1, 24, 16), "normal"),
    Architecture("lstm", OWN, "lstm", DYNAMO, (1, 24, 16), "normal"),
    Architecture("audio-conv1d", OWN, "audio_conv1d", LEGACY, (1, 1, 2048), "audio"),
)

QUICK_ARCHITECTURES = ("mobilenet_v3_small", "lcnet_050", "gru")
