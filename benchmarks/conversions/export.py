"""Export one architecture to ONNX, in a process of its own that has PyTorch and timm:

    python -m benchmarks.conversions.export NAME SAMPLES.npy OUTPUT.onnx

The new exporter is called as it is by default, which writes an opset that the toolkit does not
read; the legacy one with one of those that the toolkit's manual recommends, 12 to 19.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch

from .architectures import ARCHITECTURES, DYNAMO, LEGACY_OPSET
from .initialise import initialise
from .networks import built


def main() -> None:
    """Build the network, scale its weights on the samples, and write the model."""
    name, samples, output = sys.argv[1:]
    architecture = next(each for each in ARCHITECTURES if each.name == name)
    torch.manual_seed(0)
    network = built(architecture)
    batch = torch.from_numpy(np.load(samples))
    initialise(network, batch)
    is_dynamo = architecture.exporter == DYNAMO
    Path(output).parent.mkdir(parents=True, exist_ok=True)
    opset = None if is_dynamo else LEGACY_OPSET
    torch.onnx.export(
        network, (batch[:1],), output, input_names=["x"], opset_version=opset, dynamo=is_dynamo
    )


if __name__ == "__main__":
    main()
