"""EfficientNet-Lite0: EfficientNet-B0 (Tan 2019, table 1) without squeeze-and-excitation, with ReLU6.

Modules are called as in the PyTorch conversion of TensorFlow's published weights, so that its file loads strictly;
padding, epsilon and input scale are TensorFlow's.  (Tried on CIFAR-10 photographs at 224x224, an ImageNet class within
the right group counted: 60 % so, 57 % with symmetric padding, 54 % with torchvision's usual normalization.)

Legend: N batch, H height, W width.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

EPSILON = 1e-3  # of TensorFlow's batch norm
STAGES = (  # blocks, kernel, stride of the first block, expansion, channels
    (1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80), (3, 5, 1, 6, 112), (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320))
STEM, HEAD, CLASSES = 32, 1280, 1000


class SameConv(nn.Conv2d):
    """A convolution padded as TensorFlow's SAME: ceil(side / stride) outputs, the odd pixel below and to the right."""

    def __init__(self, channels_in: int, channels_out: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__(channels_in, channels_out, kernel, stride, groups=groups, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        kernel, stride = self.kernel_size[0], self.stride[0]
        height, width = (max((-(-side // stride) - 1) * stride + kernel - side, 0) for side in x.shape[2:])
        if height or width:
            x = functional.pad(x, (width // 2, width - width // 2, height // 2, height - height // 2))
        return super().forward(x)


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=EPSILON)


class Block(nn.Module):
    """An inverted residual (Sandler 2018, table 1)."""

    def __init__(self, channels_in: int, channels_out: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        inner = channels_in * expansion
        self.expands, self.residual = expansion > 1, stride == 1 and channels_in == channels_out
        if self.expands:
            self._expand_conv, self._bn0 = SameConv(channels_in, inner, 1), _norm(inner)
        self._depthwise_conv, self._bn1 = SameConv(inner, inner, kernel, stride, inner), _norm(inner)
        self._project_conv, self._bn2 = SameConv(inner, channels_out, 1), _norm(channels_out)

    def forward(self, x: Tensor) -> Tensor:
        y = functional.relu6(self._bn0(self._expand_conv(x))) if self.expands else x
        y = functional.relu6(self._bn1(self._depthwise_conv(y)))
        y = self._bn2(self._project_conv(y))
        return x + y if self.residual else y


class EfficientNetLite0(nn.Module):
    """Images [N, 3, H, W], (pixels - 127) / 128, to pooled features [N, 1280] and logits [N, 1000]."""

    def __init__(self) -> None:
        super().__init__()
        self._conv_stem, self._bn0 = SameConv(3, STEM, 3, 2), _norm(STEM)
        blocks, channels = [], STEM
        for count, kernel, stride, expansion, width in STAGES:
            for index in range(count):
                blocks.append(Block(channels, width, kernel, stride if index == 0 else 1, expansion))
                channels = width
        self._blocks = nn.ModuleList(blocks)
        self._conv_head, self._bn1 = SameConv(channels, HEAD, 1), _norm(HEAD)
        self._fc = nn.Linear(HEAD, CLASSES)

    def layers(self, x: Tensor) -> list[Tensor]:
        """Return the last map [N, F, h, w] of each resolution."""
        x, maps = functional.relu6(self._bn0(self._conv_stem(x))), []
        for block in self._blocks:
            if block._depthwise_conv.stride[0] > 1:
                maps.append(x)
            x = block(x)
        return [*maps, x]

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = functional.relu6(self._bn0(self._conv_stem(x)))
        for block in self._blocks:
            x = block(x)
        features = torch.mean(functional.relu6(self._bn1(self._conv_head(x))), (2, 3))
        return features, self._fc(features)
