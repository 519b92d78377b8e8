"""InfuseNet as published, in PyTorch, for the benchmark to compare with.

Written from the facts of the paper (Khor, Li, Jiang, Zhao, SCIA 2025) and of the
shapes and constants of its released weights. Needs the optional extra `torch`.
"""

import re
from collections.abc import Mapping

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

# Names in the authors' checkpoints -> names here, applied in this order.
_RENAMED = (
  (r"^fc\.", "head."),
  (r"^spatial_model_mag\.", "magnified."),
  (r"^mag_manipulator\.convblks\.0\.conv1", "manipulator.before"),
  (r"^mag_manipulator\.convblks_after\.0\.conv1", "manipulator.after"),
  (r"^mag_", ""),
  (r"^(conv1|bn1|layer\d)\.", r"flow.\1."),
)


def reflected(features_in: int, features: int, size: int, stride: int = 1) -> nn.Conv2d:
  """Makes a convolution without bias, reflect-padded by (size - 1) / 2."""
  return nn.Conv2d(
    features_in,
    features,
    size,
    stride,
    padding=size // 2,
    padding_mode="reflect",
    bias=False,
  )


class ResidualBlock(nn.Module):
  """x + conv3x3(ReLU(conv3x3(x))) of 32 channels."""

  def __init__(self):
    super().__init__()
    self.conv1, self.conv2 = reflected(32, 32, 3), reflected(32, 32, 3)

  def forward(self, x: Tensor) -> Tensor:
    return x + self.conv2(F.relu(self.conv1(x)))


class Encoder(nn.Module):
  """Encodes a frame (B, 3, H, W) in [-1, 1] as its shape latent (B, 32, H/2, W/2)."""

  def __init__(self):
    super().__init__()
    self.conv1, self.conv2 = reflected(3, 16, 7), reflected(16, 32, 3, 2)
    self.resblks = nn.Sequential(*(ResidualBlock() for _ in range(3)))
    self.conv1_shape = reflected(32, 32, 3)
    self.resblks_shape = nn.Sequential(*(ResidualBlock() for _ in range(2)))

  def forward(self, frame: Tensor) -> Tensor:
    x = self.resblks(F.relu(self.conv2(F.relu(self.conv1(frame)))))
    return self.resblks_shape(F.relu(self.conv1_shape(x)))


class Manipulator(nn.Module):
  """Computes the magnified difference of the latents of two frames."""

  def __init__(self):
    super().__init__()
    self.before, self.after = reflected(32, 32, 7), reflected(32, 32, 3)
    self.resblks = nn.Sequential(ResidualBlock())

  def forward(self, a: Tensor, b: Tensor, amp: float) -> Tensor:
    return self.resblks(self.after(F.relu(self.before(b - a)) * (amp - 1)))


class BasicBlock(nn.Module):
  """ResNet's block of two 3x3 convolutions."""

  def __init__(self, features_in: int, features: int, stride: int):
    super().__init__()
    self.conv1 = nn.Conv2d(features_in, features, 3, stride, padding=1, bias=False)
    self.bn1 = nn.BatchNorm2d(features)
    self.conv2 = nn.Conv2d(features, features, 3, padding=1, bias=False)
    self.bn2 = nn.BatchNorm2d(features)
    self.downsample = None
    if stride != 1:
      self.downsample = nn.Sequential(
        nn.Conv2d(features_in, features, 1, stride, bias=False),
        nn.BatchNorm2d(features),
      )

  def forward(self, x: Tensor) -> Tensor:
    y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)), inplace=True)))
    x = x if self.downsample is None else self.downsample(x)
    return F.relu(y + x, inplace=True)


class Trunk(nn.Module):
  """The four stages of a ResNet-18, 64 to 512 channels, and its stem if `stem`."""

  def __init__(self, stem: bool):
    super().__init__()
    if stem:
      self.conv1 = nn.Conv2d(3, 64, 7, 2, padding=3, bias=False)
      self.bn1 = nn.BatchNorm2d(64)
    for level in range(4):
      features = 64 * 2**level
      before = max(64, features // 2)
      blocks = BasicBlock(before, features, min(level + 1, 2))
      layer = nn.Sequential(blocks, BasicBlock(features, features, 1))
      self.add_module(f"layer{level + 1}", layer)

  def stages(self) -> tuple[nn.Module, ...]:
    return self.layer1, self.layer2, self.layer3, self.layer4


class PublishedInfuseNet(nn.Module):
  """The authors' network without its decoder, which it never runs.

  Args:
    num_aus: outputs A, one per action unit.
    amp: magnification factor.
    frozen_magnifier: whether the magnifier runs under `no_grad`; the authors' does not.
  """

  def __init__(
    self, num_aus: int = 12, amp: float = 10.0, frozen_magnifier: bool = False
  ):
    super().__init__()
    self.amp, self.frozen_magnifier = amp, frozen_magnifier
    self.encoder, self.manipulator = Encoder(), Manipulator()
    self.flow, self.magnified = Trunk(stem=True), Trunk(stem=False)
    self.head = nn.Linear(512, num_aus)
    self.encoder.requires_grad_(not frozen_magnifier)
    self.manipulator.requires_grad_(not frozen_magnifier)

  def forward(
    self, flow: Tensor, onset: Tensor, apex: Tensor, window_apex: Tensor
  ) -> tuple[Tensor, Tensor]:
    """Computes the logits of both branches, (B, A) each, of inputs (B, 3, H, W)."""
    x, m = self.pooled_features(flow, onset, apex, window_apex)
    return self.head(x), self.head(m)

  def pooled_features(self, flow, onset, apex, window_apex) -> tuple[Tensor, Tensor]:
    """Computes the head's inputs: flow and infused features, (B, 512) each."""
    with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen_magnifier):
      m = torch.cat([self._difference(onset, b) for b in (apex, window_apex)], 1)
      m = F.max_pool2d(F.relu(m), 3, 2, 1)
    x = F.relu(self.flow.bn1(self.flow.conv1(flow)), inplace=True)
    x = F.max_pool2d(x, 3, 2, 1)
    for flow_stage, magnified_stage in zip(
      self.flow.stages(), self.magnified.stages(), strict=True
    ):
      x = flow_stage(x)
      m = magnified_stage(m) * unit(x)
    x, m = x.mean((2, 3)), m.mean((2, 3))
    return x, m * unit(x)

  def _difference(self, onset: Tensor, other: Tensor) -> Tensor:
    # As published, the onset is encoded anew for each pair.
    return self.manipulator(self.encoder(onset), self.encoder(other), self.amp)

  def load_authors_state(self, state: Mapping[str, np.ndarray]) -> None:
    """Fills the network from a state with the names of the authors' checkpoints.

    Raises:
      RuntimeError: a tensor is missing, surplus or misshapen.
    """
    self.load_state_dict(
      {
        our_name(name): torch.as_tensor(tensor)
        for name, tensor in state.items()
        if not name.startswith("mag_decoder.")
      }
      | {
        k: v for k, v in self.state_dict().items() if k.endswith("num_batches_tracked")
      }
    )


def our_name(name: str) -> str:
  """Translates a tensor's name in the authors' checkpoints to its name here."""
  for pattern, replacement in _RENAMED:
    name = re.sub(pattern, replacement, name)
  return name


def unit(x: Tensor) -> Tensor:
  """Computes (x - min) / (max - min), with both taken over the whole batch tensor."""
  low, high = x.min(), x.max()
  return (x - low) / (high - low)
