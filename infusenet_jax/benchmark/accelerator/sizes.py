"""How large what is measured is: as published, or so small that a CPU does it."""

import runpy
from dataclasses import dataclass
from pathlib import Path

import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from infusenet_jax.benchmark.epoch import noise_clips
from infusenet_jax.clips.labels import CLIPS
from infusenet_jax.clips.records import Clips

CONFIG = Path("configs/cd6me.py")


@dataclass(frozen=True)
class Sizes:
  """Of everything that is measured.

  Attributes:
    pixels, width: of a frame's side; channels of the first stage.
    batches: clips in a step; the first is the published recipe's.
    repeats: calls of each step, and epochs, that are timed.
    losses: updates after which two ways of computing are compared.
    clips: of all databases; latents and an epoch are computed of them.
    epoch_steps: updates of the epochs in which ours and PyTorch take turns.
    pairs: frames whose flow is computed at once.
    channels: of the rotations whose exactness is measured.
  """

  pixels: int = 224
  width: int = 64
  batches: tuple[int, ...] = (32, 64, 128)
  repeats: int = 20
  losses: int = 200
  clips: int = sum(CLIPS.values())
  epoch_steps: int = 20
  pairs: tuple[int, ...] = (1, 16, 64)
  channels: tuple[int, ...] = (64, 128, 256, 512)

  def config(self, dtype: str = "auto", batch_size: int | None = None) -> ConfigDict:
    """configs/cd6me.py at this size."""
    config = runpy.run_path(str(CONFIG))["get_config"]()
    config.image_size, config.model.width = self.pixels, self.width
    config.train.batch_size = batch_size or self.batches[0]
    config.dtype = dtype
    return config


PUBLISHED = Sizes()
TINY = Sizes(32, 4, (4,), 2, 4, 12, 2, (1, 2), (8, 16))


def learnable_clips(config: ConfigDict, count: int) -> Clips:
  """Clips of noise whose labels the flow tells: each AU moves a spot of its own.

  So a loss falls, and two ways of computing can be told apart by how it does.
  """
  clips = noise_clips(config, count)
  size, rng = config.image_size, np.random.default_rng(1)
  labels = (rng.random(clips.labels.shape) < 0.3).astype(np.uint8)
  rows, columns = np.mgrid[:size, :size] / size
  spots = [
    np.exp(
      -((rows - (i // 4 + 0.5) / 3) ** 2 + (columns - (i % 4 + 0.5) / 4) ** 2) * 50
    )
    for i in range(labels.shape[1])
  ]
  moved = np.tensordot(labels.astype(np.float32), np.float32(spots), 1)[..., None]
  flow = 0.3 * clips.flow.astype(np.float32) + 0.7 * np.minimum(moved, 1)
  # Of every clip's scale nothing is asked here: flow lies in [0, 1] as it is.
  return type(clips)(
    **{
      name: getattr(clips, name)
      for name in vars(clips)
      if name not in ("flow", "labels")
    },
    flow=flow.astype(jnp.float16),
    labels=labels,
  )
