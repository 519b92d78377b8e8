"""Motion magnification of frames in memory, by the magnifier that ships."""

from collections.abc import Sequence

import numpy as np

from infusenet_jax.predict.magnify.tiles import LEAST_SIDE, TiledMagnifier


def magnify(frames: Sequence[np.ndarray] | np.ndarray, amp: float = 10.0) -> np.ndarray:
  """Frames whose motion since the first one is magnified.

      larger = magnify([onset, apex], amp=10)[1]

  Compiled once per size of the frames. After Oh et al. (ECCV 2018), with weights that
  were trained for this project; docs/magnifier.md says how well they do.
  `python -m infusenet_jax.predict.magnify` does it to whole videos.

  Args:
    frames: (T, H, W, 3) uint8, RGB, at least 16 pixels a side.
    amp: how many times; 1 changes nothing but for the network's own error.

  Returns:
    (T, H, W, 3) uint8; the first frame goes through the network as well.

  Raises:
    ValueError: the frames are not of that kind, or amp is below 1.
  """
  frames = np.asarray(frames)
  if frames.ndim != 4 or frames.shape[3] != 3 or frames.dtype != np.uint8:
    raise ValueError(
      f"frames are {frames.dtype} {frames.shape}, expected uint8 (T, H, W, 3)"
    )
  if min(frames.shape[1:3]) < LEAST_SIDE or not len(frames):
    raise ValueError(
      f"frames are {frames.shape}, expected {LEAST_SIDE} pixels a side or more"
    )
  if not amp >= 1:
    raise ValueError(f"amp is {amp}, expected a factor of 1 or more")
  magnifier = TiledMagnifier(*frames.shape[1:3])
  reference = magnifier.latents(frames[0])
  return np.stack(
    [magnifier.magnified(reference, magnifier.latents(frame), amp) for frame in frames]
  )
