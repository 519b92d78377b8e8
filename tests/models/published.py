"""The published baselines in PyTorch, written anew: what the ports are held to.

`REFERENCES` holds a builder of each, a `torch.nn.Module` on flow (B, 3, H, W).
`baseline_layers` says which of our layers is which of theirs.
"""

import torch
from torch import Tensor
from torch import nn as tnn


class TorchSSSNet(tnn.Module):
  """Two convolutions, one hidden layer; dropout where `dropout`."""

  def __init__(self, dropout: float = 0.5):
    super().__init__()
    self.layers = tnn.Sequential(
      tnn.Conv2d(3, 32, 5),
      tnn.ReLU(),
      tnn.MaxPool2d(3, 3),
      tnn.BatchNorm2d(32),
      tnn.Dropout2d(dropout),
      tnn.Conv2d(32, 64, 3),
      tnn.ReLU(),
      tnn.MaxPool2d(2, 2),
      tnn.BatchNorm2d(64),
      tnn.Dropout2d(dropout),
      tnn.Flatten(),
      tnn.Linear(5184, 256),
      tnn.ReLU(),
      tnn.Dropout(dropout),
      tnn.Linear(256, 12),
    )

  def forward(self, flow: Tensor) -> Tensor:
    return self.layers(flow)


class TorchSTSTNet(tnn.Module):
  """Three streams side by side."""

  def __init__(self, dropout: float = 0.5):
    super().__init__()
    self.streams = tnn.ModuleList(
      tnn.Sequential(
        tnn.Conv2d(3, filters, 3, padding=2),
        tnn.ReLU(),
        tnn.BatchNorm2d(filters),
        tnn.MaxPool2d(3, 3, padding=1),
        tnn.Dropout(dropout),
      )
      for filters in (3, 5, 8)
    )
    self.pool, self.fc = tnn.AvgPool2d(2, 2), tnn.Linear(400, 12)

  def forward(self, flow: Tensor) -> Tensor:
    x = torch.cat([stream(flow) for stream in self.streams], 1)
    return self.fc(self.pool(x).flatten(1))


class TorchOffApexNet(tnn.Module):
  """One stream of u and v, or one of each."""

  def __init__(self, streams: int, dropout: float = 0.5):
    super().__init__()
    self.streams = tnn.ModuleList(
      tnn.Sequential(
        tnn.Conv2d(2 // streams, 6, 3, padding=1),
        tnn.ReLU(),
        tnn.MaxPool2d(2, 2),
        tnn.Conv2d(6, 16, 3, padding=1),
        tnn.ReLU(),
        tnn.MaxPool2d(2, 2),
        tnn.Flatten(),
      )
      for _ in range(streams)
    )
    self.head = tnn.Sequential(
      tnn.Dropout(dropout),
      tnn.Linear(streams * 784, 1024),
      tnn.ReLU(),
      tnn.Dropout(dropout),
      tnn.Linear(1024, 12),
    )

  def forward(self, flow: Tensor) -> Tensor:
    parts = flow[:, :2].chunk(len(self.streams), 1)
    seen = [stream(x) for stream, x in zip(self.streams, parts, strict=True)]
    return self.head(torch.cat(seen, 1))


REFERENCES = {
  "sssnet": TorchSSSNet,
  "ststnet": TorchSTSTNet,
  "off_apexnet_1": lambda **how: TorchOffApexNet(1, **how),
  "off_apexnet_2": lambda **how: TorchOffApexNet(2, **how),
}
