"""Trains the published network in PyTorch by a plain loop, for the benchmark."""

import time
from collections.abc import Mapping

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from infusenet_jax.benchmark.pytorch.model import PublishedInfuseNet


class Trainer:
  """A plain PyTorch training loop over clips in memory.

  It uses Adam with L2 1e-3 (the fused one, PyTorch's fastest) and the binary
  cross-entropy of both heads.

  Args:
    clips: arrays (N, H, W, 3) by name, uint8 frames and float16 flow, and labels.
    batch_size: clips per step.
    frozen_magnifier: whether the magnifier is left untrained.
    channels_last: whether tensors are in that memory format.
    fast: whether to use `torch.compile` and bfloat16 autocast.
  """

  def __init__(
    self,
    clips: Mapping[str, np.ndarray],
    batch_size: int,
    *,
    frozen_magnifier: bool,
    channels_last: bool,
    fast: bool = False,
  ):
    self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    self.batch_size, self.fast = batch_size, fast
    self.format = torch.channels_last if channels_last else torch.contiguous_format
    model = PublishedInfuseNet(frozen_magnifier=frozen_magnifier).train()
    model = model.to(self.device, memory_format=self.format)
    trained = [p for p in model.parameters() if p.requires_grad]
    self.optimizer = torch.optim.Adam(trained, 1e-4, weight_decay=1e-3, fused=True)
    self.model = torch.compile(model) if fast else model
    self.labels = torch.from_numpy(clips["labels"]).to(self.device)
    self.images = {
      name: self._formatted(torch.from_numpy(clips[name]).permute(0, 3, 1, 2))
      for name in ("flow", "onset", "apex", "window_apex")
    }

  def epoch(self, number: int) -> float:
    """Trains on every clip once, in an order drawn from `number`; returns mean loss."""
    order = np.random.default_rng(number).permutation(len(self.labels))
    steps = range(0, len(order), self.batch_size)
    losses = [self.step(order[i : i + self.batch_size]) for i in steps]
    return float(torch.stack(losses).mean())

  def step(self, numbers: np.ndarray) -> Tensor:
    """Makes one update on the clips `numbers` and returns its loss."""
    chosen = torch.from_numpy(numbers).to(self.device)
    flow, *frames = (self._formatted(x[chosen].float()) for x in self.images.values())
    labels = self.labels[chosen].float()
    self.optimizer.zero_grad(set_to_none=True)
    with torch.autocast(self.device.type, torch.bfloat16, enabled=self.fast):
      logits = self.model(flow, *(frame.div_(127.5).sub_(1) for frame in frames))
    loss = sum(F.binary_cross_entropy_with_logits(x.float(), labels) for x in logits)
    loss.backward()
    self.optimizer.step()
    return loss.detach()

  def _formatted(self, x: Tensor) -> Tensor:
    return x.to(self.device).contiguous(memory_format=self.format)


def fastest_layout(clips: Mapping[str, np.ndarray], batch_size: int, **how) -> Trainer:
  """Makes a trainer in the memory format in which a step takes less time here."""
  seconds, numbers = {}, np.arange(batch_size)
  for channels_last in (False, True):
    trainer = Trainer(clips, batch_size, channels_last=channels_last, **how)
    for _ in range(2):  # The first step is a warm-up.
      start = time.perf_counter()
      float(trainer.step(numbers))
      seconds[channels_last] = time.perf_counter() - start
  return Trainer(clips, batch_size, channels_last=min(seconds, key=seconds.get), **how)
