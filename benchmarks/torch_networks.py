"""Networks as PyTorch exports them, by both of its exporters, for tests/onnx_models.

    python benchmarks/torch_networks.py tests/onnx_models

It needs Python 3.11 with torch 2.13.0, onnx and onnxscript. Each network has random
weights of seed 0, batch normalisation as after training, and few channels. NAME.onnx
is written by the exporter of TorchScript (dynamo=False), NAME.dynamo.onnx and
NAME.dynamo.onnx.data by the current one; NAME.npz holds inputs and torch's outputs.

    python benchmarks/torch_networks.py build/large large

writes the whole MobileNet, 128×128, 4.2 million weights, for benchmarks/mobilenet.py.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

SAMPLES = 2


class Residual(nn.Module):
    """Two 3×3 convolutions beside a shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
            nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        self.shortcut = nn.Sequential()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False),
                nn.BatchNorm2d(outputs),
            )

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.body(x) + self.shortcut(x))


def resnet8() -> nn.Module:
    """ResNet-8 of He et al. 2016 (arXiv 1512.03385) for 32×32, half as wide."""
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, 1, 1, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        Residual(8, 8, 1),
        Residual(8, 16, 2),
        Residual(16, 32, 2),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(32, 10),
    )


def separable(inputs: int, outputs: int, stride: int) -> nn.Module:
    """A depthwise convolution and a pointwise one."""
    return nn.Sequential(
        nn.Conv2d(inputs, inputs, 3, stride, 1, groups=inputs, bias=False),
        nn.BatchNorm2d(inputs),
        nn.ReLU6(),
        nn.Conv2d(inputs, outputs, 1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU6(),
    )


def mobilenet() -> nn.Module:
    """After MobileNet (arXiv 1704.04861), four blocks of it, with ReLU6."""
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, 2, 1, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU6(),
        separable(8, 16, 1),
        separable(16, 24, 2),
        separable(24, 24, 1),
        separable(24, 32, 2),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Dropout(0.2),
        nn.Linear(32, 10),
    )


BLOCKS = (  # stride of the depthwise layer, filters of the pointwise one
    *((1, 64), (2, 128), (1, 128), (2, 256), (1, 256), (2, 512)),
    *((1, 512),) * 5,
    *((2, 1024), (1, 1024)),
)


def whole_mobilenet() -> nn.Module:
    """MobileNet v1 (arXiv 1704.04861, table 1), 28 layers, 1000 classes."""
    layers: list[nn.Module] = [
        nn.Conv2d(3, 32, 3, 2, 1, bias=False),
        nn.BatchNorm2d(32),
        nn.ReLU6(),
    ]
    width = 32
    for stride, filters in BLOCKS:
        layers.append(separable(width, filters, stride))
        width = filters
    last = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 1000))
    return nn.Sequential(*layers, *last)


class UNet(nn.Module):
    """Down, up again, and the pictures of equal size one behind the other."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 6, 3, padding=1)
        self.down = nn.Conv2d(6, 12, 3, stride=2, padding=1)
        self.deep = nn.Conv2d(12, 12, 3, stride=2, padding=1)
        self.up = nn.ConvTranspose2d(12, 12, 2, stride=2)
        self.middle = nn.Conv2d(24, 6, 3, padding=1)
        self.last = nn.Conv2d(12, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        first = F.relu(self.first(x))
        down = F.relu(self.down(first))
        deep = F.relu(self.up(F.relu(self.deep(down))))
        middle = F.relu(self.middle(torch.cat((deep, down), 1)))
        wide = F.interpolate(middle, scale_factor=2.0, mode="nearest")
        return self.last(torch.cat((wide, first), 1))


def keywords() -> nn.Module:
    """1-D convolutions over a sequence of 20 features, as for spoken words."""
    return nn.Sequential(
        nn.Conv1d(20, 16, 5, stride=2, padding=2),
        nn.BatchNorm1d(16),
        nn.ReLU(),
        nn.AvgPool1d(2),
        nn.Conv1d(16, 24, 3, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(24 * 12, 12),
        nn.LogSoftmax(1),
    )


def mlp() -> nn.Module:
    """Three linear layers on a picture."""
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(64, 32),
        nn.ReLU(),
        nn.Linear(32, 16),
        nn.ReLU(),
        nn.Linear(16, 10),
        nn.Softmax(1),
    )


NETWORKS = {
    "resnet8": (resnet8, (3, 32, 32)),
    "mobilenet": (mobilenet, (3, 32, 32)),
    "unet": (UNet, (1, 16, 16)),
    "keywords": (keywords, (20, 48)),
    "mlp": (mlp, (1, 8, 8)),
}


Networks = Mapping[str, tuple[Callable[[], nn.Module], tuple[int, ...]]]


def trained_looking(model: nn.Module) -> nn.Module:
    """With the batch normalisation of a network that has seen data."""
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.uniform_(layer.weight, 0.6, 1.4)
            nn.init.normal_(layer.bias, 0, 0.2)
            nn.init.normal_(layer.running_mean, 0, 0.2)
            nn.init.uniform_(layer.running_var, 0.3, 1.5)
    return model.eval()


LARGE = {"mobilenet128": (whole_mobilenet, (3, 128, 128))}


def write(folder: Path, networks: Networks) -> None:
    """Every network, by both exporters, its inputs and outputs."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, (make, shape) in networks.items():
        torch.manual_seed(0)
        model = trained_looking(make())
        x = torch.rand(SAMPLES, *shape)
        with torch.no_grad():
            y = model(x)
        open_batch = {"x": {0: "samples"}, "y": {0: "samples"}}
        torch.onnx.export(
            model,
            (x,),
            folder / f"{name}.onnx",
            dynamo=False,
            input_names=["x"],
            output_names=["y"],
            dynamic_axes=open_batch,
        )
        torch.onnx.export(
            model, (x,), folder / f"{name}.dynamo.onnx", dynamo=True, external_data=True
        )
        np.savez_compressed(folder / f"{name}.npz", x=x.numpy(), y=y.numpy())


if __name__ == "__main__":
    write(Path(sys.argv[1]), LARGE if sys.argv[2:] == ["large"] else NETWORKS)
