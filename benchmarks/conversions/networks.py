"""The networks of the conversion benchmark as PyTorch modules. Runs where PyTorch is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from .architectures import OWN, TIMM, Architecture

# A torchvision that was built for CUDA loads none of its operators with a PyTorch for the CPU, and
# then stops at these two, which none of the networks here uses.
_UNUSED = torch.library.Library("torchvision", "FRAGMENT")
CLASSES = 20


def built(architecture: Architecture) -> nn.Module:
    """Return the network with random weights."""
    _declare_operators()
    if architecture.library == OWN:
        network: nn.Module = _OWN[architecture.network]()
    elif architecture.library == TIMM:
        import timm

        network = timm.create_model(
            architecture.network, num_classes=CLASSES, **architecture.options
        )
    else:
        from torchvision.models import get_model

        network = get_model(architecture.network, num_classes=CLASSES)
    return network


def _declare_operators() -> None:
    for name in ("nms", "qnms"):
        if not hasattr(torch.ops.torchvision, name):
            _UNUSED.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")


class _Segmenter(nn.Module):  # type: ignore[misc]
    """A segmentation network of torchvision without the dictionary around its output."""

    def __init__(self, name: str) -> None:
        super().__init__()
        from torchvision.models import get_model

        self.network = get_model(name, weights=None, weights_backbone=None, num_classes=CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        """Return the scores (N, classes, H, W)."""
        scores: Tensor = self.network(x)["out"]
        return scores


class _Detector(nn.Module):  # type: ignore[misc]
    """Backbone and head of a detector of torchvision, without anchors and boxes."""

    def __init__(self, backbone: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.backbone, self.head = backbone, head

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return the head's tensors (N, places, values), sorted by name."""
        outputs: dict[str, Tensor] = self.head(list(self.backbone(x).values()))
        return [outputs[name] for name in sorted(outputs)]


def _ssdlite() -> nn.Module:
    from torchvision.models.detection import ssdlite320_mobilenet_v3_large

    whole = ssdlite320_mobilenet_v3_large(
        weights=None, weights_backbone=None, num_classes=CLASSES, reduce_tail=True
    )
    return _Detector(whole.backbone, whole.head)


def _fcos() -> nn.Module:
    from torchvision.models.detection.backbone_utils import mobilenet_backbone
    from torchvision.models.detection.fcos import FCOSHead

    backbone = mobilenet_backbone(
        backbone_name="mobilenet_v3_large", weights=None, fpn=True, trainable_layers=6
    )
    return _Detector(backbone, FCOSHead(backbone.out_channels, 1, CLASSES, num_convs=2))


class _Recurrent(nn.Module):  # type: ignore[misc]
    """A recurrent layer over (N, T, 16), and a linear one on the last step."""

    def __init__(self, layer: Callable[..., nn.Module]) -> None:
        super().__init__()
        self.before = nn.Linear(16, 32)
        self.layer = layer(32, 48, batch_first=True)
        self.after = nn.Linear(48, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        """Return the scores (N, classes)."""
        states: Tensor = self.layer(torch.relu(self.before(x)))[0]
        scores: Tensor = self.after(states[:, -1])
        return scores


def _mixer() -> nn.Module:
    from timm.models.mlp_mixer import MlpMixer

    network: nn.Module = MlpMixer(CLASSES, 64, patch_size=8, num_blocks=4, embed_dim=192)
    return network


def _audio_conv1d() -> nn.Module:
    def block(before: int, after: int, size: int, stride: int) -> list[nn.Module]:
        convolution = nn.Conv1d(before, after, size, stride, size // 2, bias=False)
        return [convolution, nn.BatchNorm1d(after), nn.ReLU()]

    return nn.Sequential(
        *block(1, 32, 16, 4),
        *block(32, 48, 3, 1),
        nn.MaxPool1d(4),
        *block(48, 64, 3, 1),
        nn.MaxPool1d(4),
        *block(64, 96, 3, 1),
        nn.AdaptiveAvgPool1d(1),
        nn.Flatten(),
        nn.Linear(96, CLASSES),
    )


_OWN: dict[str, Callable[[], Any]] = {
    "lraspp": lambda: _Segmenter("lraspp_mobilenet_v3_large"),
    "deeplabv3": lambda: _Segmenter("deeplabv3_mobilenet_v3_large"),
    "ssdlite": _ssdlite,
    "fcos": _fcos,
    "gru": lambda: _Recurrent(nn.GRU),
    "lstm": lambda: _Recurrent(nn.LSTM),
    "mixer": _mixer,
    "audio_conv1d": _audio_conv1d,
}
