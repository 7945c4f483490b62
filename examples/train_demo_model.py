"""Train the demo CNN on Fashion-MNIST and export it to ONNX.

Needs ``torch``, ``onnx`` and ``onnxruntime``. The 10,000 test images only serve to report the
accuracy of the final weights: nothing is selected or stopped early on them.

The exported graph takes ``image`` float32 (1, 1, 28, 28), preprocessed as (pixel - 73) / 90 with
pixels in 0..255, and returns ``logits`` float32 (1, 10). BatchNormalization nodes stay unfolded.

Training takes 15 to 20 minutes on two CPU cores. With glibc, setting MALLOC_TRIM_THRESHOLD_ and
MALLOC_MMAP_THRESHOLD_ to 2000000000 saves about a third of it, as freed buffers are then reused.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import torch
from build_sample_set import DEFAULT_DATA, DEFAULT_OUT, load_split
from torch import Tensor, nn
from torch.nn import functional as F

MEAN, STD = 73.0, 90.0  # rounded statistics of the training pixels, in the 0..255 scale
BATCH = 128
MAX_LR = 0.12
WEIGHT_DECAY = 5e-4
MAX_SHIFT = 2  # pixels, in both directions
OPSET = 17
MAX_IR_VERSION = 10


def conv_bn(cin: int, cout: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    """Return a bias-free convolution of the same padding, followed by BatchNorm."""
    conv = nn.Conv2d(cin, cout, kernel, stride, kernel // 2, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(cout))


class InvertedResidual(nn.Module):
    """Expand 1x1, depthwise 3x3, project 1x1; with a skip where the shapes allow one."""

    def __init__(self, cin: int, mid: int, cout: int, stride: int = 1) -> None:
        super().__init__()
        self.expand = conv_bn(cin, mid, 1)
        self.depthwise = conv_bn(mid, mid, 3, stride, groups=mid)
        self.project = conv_bn(mid, cout, 1)
        self.skip = stride == 1 and cin == cout

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, cin, H, W) to (N, cout, H/stride, W/stride)."""
        y = self.project(F.relu(self.depthwise(F.relu(self.expand(x)))))
        return x + y if self.skip else y


class DenseResidual(nn.Module):
    """Two dense 3x3 convolutions in a residual branch."""

    def __init__(self, channels: int, mid: int) -> None:
        super().__init__()
        self.conv1 = conv_bn(channels, mid, 3)
        self.conv2 = conv_bn(mid, channels, 3)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, channels, H, W) to the same shape."""
        return x + self.conv2(F.relu(self.conv1(x)))


class DemoNet(nn.Module):
    """Residual and depthwise CNN: (N, 1, 28, 28) to logits (N, 10).

    Inner layers are wide compared with the residual stream, so most of the compute sits in
    channels that a structured pruner can remove without touching a residual Add.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem = conv_bn(1, 64, 3, stride=2)
        self.block1 = InvertedResidual(64, 128, 64)
        self.block2 = InvertedResidual(64, 192, 64, stride=2)
        self.block3 = DenseResidual(64, 64)
        self.block4 = InvertedResidual(64, 256, 64)
        self.block5 = InvertedResidual(64, 256, 64)
        self.head = conv_bn(64, 256, 1)
        self.dropout = nn.Dropout(0.2)
        self.classifier = nn.Linear(256, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits (N, 10) of preprocessed images (N, 1, 28, 28)."""
        x = F.relu(self.stem(x))
        for block in (self.block1, self.block2, self.block3, self.block4, self.block5):
            x = block(x)
        x = F.adaptive_avg_pool2d(F.relu(self.head(x)), 1)
        return self.classifier(self.dropout(torch.flatten(x, 1)))


def load_tensors(folder: Path, prefix: str) -> tuple[Tensor, Tensor]:
    """Return preprocessed images float32 (N, 1, 28, 28) and labels int64 (N,) of one split."""
    images, labels = load_split(folder, prefix)
    pixels = torch.from_numpy(images.astype(np.float32)).unsqueeze(1)
    return (pixels - MEAN) / STD, torch.from_numpy(labels)


def augment(images: Tensor) -> Tensor:
    """Mirror and shift each image (N, 1, 28, 28) at random, filling with the background."""
    count, size = images.shape[0], images.shape[-1]
    padded = F.pad(images, (MAX_SHIFT,) * 4, value=-MEAN / STD)
    grid = torch.arange(size)
    dy, dx = torch.randint(0, 2 * MAX_SHIFT + 1, (2, count, 1))
    cols = torch.where(torch.rand(count, 1) < 0.5, grid, grid.flip(0)) + dx
    index = torch.arange(count)[:, None, None]
    return padded[index, 0, (grid + dy)[:, :, None], cols[:, None, :]].unsqueeze(1)


@torch.inference_mode()
def accuracy(model: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Return the top-1 accuracy, 0..1, in evaluation mode."""
    model.eval()
    predicted = torch.cat([model(chunk).argmax(1) for chunk in images.split(500)])
    return (predicted == labels).float().mean().item()


def train(model: nn.Module, images: Tensor, labels: Tensor, epochs: int) -> None:
    """Train in place with SGD under a one-cycle schedule; one line an epoch."""
    steps = -(-len(images) // BATCH)
    # One decay for all parameters, BatchNorm scales and biases included: simplest, and enough here.
    optimizer = torch.optim.SGD(
        model.parameters(), lr=MAX_LR, momentum=0.9, nesterov=True, weight_decay=WEIGHT_DECAY
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, MAX_LR, total_steps=epochs * steps, pct_start=0.2
    )
    for epoch in range(epochs):
        model.train()
        start, total = time.perf_counter(), 0.0
        for index in torch.randperm(len(images)).split(BATCH):
            batch = augment(images[index]).to(memory_format=torch.channels_last)
            loss = F.cross_entropy(model(batch), labels[index])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item() * len(index)
        seconds = time.perf_counter() - start
        loss_mean = total / len(images)
        print(f"epoch {epoch + 1}/{epochs}: loss {loss_mean:.4f}, {seconds:.0f} s", flush=True)


def export_onnx(model: nn.Module, path: Path) -> None:
    """Write the model as one ONNX file with a static batch of 1 and BatchNorm left unfolded."""
    path.parent.mkdir(parents=True, exist_ok=True)
    model = model.eval().to(memory_format=torch.contiguous_format)
    torch.onnx.export(
        model,
        (torch.zeros(1, 1, 28, 28),),
        str(path),
        input_names=["image"],
        output_names=["logits"],
        opset_version=OPSET,
        # PRESERVE with eval() keeps BatchNorm as inference nodes; EVAL would fold them.
        training=torch.onnx.TrainingMode.PRESERVE,
        do_constant_folding=False,
        dynamo=False,
    )
    proto = onnx.load(path)
    proto.ir_version = min(proto.ir_version, MAX_IR_VERSION)
    onnx.checker.check_model(proto, full_check=True)
    onnx.save(proto, path)


def onnx_accuracy(path: Path, images: Tensor, labels: Tensor) -> float:
    """Return the top-1 accuracy, 0..1, of the exported file under onnxruntime."""
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    hits = 0
    for image, label in zip(images.numpy(), labels.numpy(), strict=True):
        logits = session.run(["logits"], {"image": image[None]})[0]
        hits += int(logits.argmax() == label)
    return hits / len(labels)


def main() -> None:
    """Command line entry point."""
    parser = argparse.ArgumentParser(description="Train and export the Fashion-MNIST demo CNN.")
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA, help="folder of the idx files")
    parser.add_argument("--out", type=Path, default=DEFAULT_OUT / "fashion_mnist_cnn.onnx")
    parser.add_argument("--epochs", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2, help="CPU threads of torch")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    model = DemoNet().to(memory_format=torch.channels_last)
    print(f"parameters: {sum(p.numel() for p in model.parameters())}")
    train(model, *load_tensors(args.data, "train"), args.epochs)

    test_images, test_labels = load_tensors(args.data, "t10k")
    print(f"torch accuracy, 10,000 test images: {accuracy(model, test_images, test_labels):.4f}")
    export_onnx(model, args.out)
    top1 = onnx_accuracy(args.out, test_images, test_labels)
    print(f"ONNX accuracy, 10,000 test images: {top1:.4f}")
    print(f"{args.out.name}: {args.out.stat().st_size} bytes")


if __name__ == "__main__":
    main()
