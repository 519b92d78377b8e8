"""Small videos of a photographed face, and networks that only pretend."""

import functools
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import cv2
import matplotlib.cbook
import numpy as np

from infusenet_jax.clips.labels import AUS
from infusenet_jax.clips.schema import FRAMES
from infusenet_jax.predict.weights.networks import Made

SIDE = 192  # Pixels of a frame.


@functools.cache
def _portrait() -> np.ndarray:
  """Grace Hopper, (SIDE, SIDE, 3) RGB."""
  path = matplotlib.cbook.get_sample_data("grace_hopper.jpg", False)
  picture = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)[20:400, 70:450]
  return cv2.resize(picture, (SIDE, SIDE), interpolation=cv2.INTER_AREA)


def face(shift: float = 0.0) -> np.ndarray:
  """The photograph, its mouth moved down by `shift` pixels, (SIDE, SIDE, 3) uint8."""
  y, x = np.mgrid[:SIDE, :SIDE].astype(np.float32)
  bump = np.exp(-(((x - 97) / 25) ** 2 + ((y - 140) / 18) ** 2))
  return cv2.remap(_portrait(), x, y - np.float32(shift) * bump, cv2.INTER_LINEAR,
                   borderMode=cv2.BORDER_REPLICATE)  # fmt: skip


def wall() -> np.ndarray:
  """A frame without a face."""
  y, x = np.mgrid[:SIDE, :SIDE]
  return np.stack([80 + x // 8, 100 + y // 8, 90 + (x + y) // 16], -1).astype(np.uint8)


def smiles(count: int = 12) -> list[np.ndarray]:
  """Frames in which the mouth moves by 3 pixels and back."""
  return [face(3 * np.sin(np.pi * n / max(count - 1, 1))) for n in range(count)]


def write_film(
  path: Path,
  frames: Sequence[np.ndarray],
  *,
  seconds: Sequence[float] | None = None,
  fps: int = 50,
  codec: str = "ffv1",
  pixels: str = "bgr0",
  form: str | None = None,
) -> Path:
  """Writes frames (H, W, 3) RGB or (H, W) grey; `seconds` are their time stamps."""
  with av.open(str(path), "w", format=form) as container:
    stream = container.add_stream(codec, rate=fps)
    stream.height, stream.width = frames[0].shape[:2]
    stream.pix_fmt = pixels
    base = Fraction(1, 1000) if seconds else Fraction(1, fps)
    stream.codec_context.time_base = base
    for number, image in enumerate(frames):
      kind = "gray" if image.ndim == 2 else "rgb24"
      frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format=kind)
      frame.time_base = base
      frame.pts = round(1000 * seconds[number]) if seconds else number
      container.mux(stream.encode(frame))
    container.mux(stream.encode())
  return path


class PretendedNetworks:
  """Says AU12 of whatever moves by more than a quarter of a pixel."""

  record_size = 64
  made = Made(64)
  needs = (*FRAMES, "flow")
  card = {  # noqa: RUF012
    "source": "run",
    "name": "pretended",
    "simulated": True,
    "calibrated": True,
    "notes": [],
  }

  def probabilities(self, onset, apex, flow, window_apex=None) -> np.ndarray:
    assert onset.shape == apex.shape == window_apex.shape == (*flow.shape[:3], 3)
    moved = np.abs(flow[..., :2].astype(float)).max((1, 2, 3))
    found = np.full((len(flow), len(AUS)), 0.125)
    found[:, AUS.index(12)] = np.where(moved > 0.25, 0.875, 0.25)
    return found

  def magnified(self, onset, apex, amp) -> np.ndarray:
    return apex

  def looked(self, onset, apex, flow, window_apex=None) -> np.ndarray:
    return np.abs(flow[..., 0].astype(np.float32))


def pretended_measure(flow: str, strain: str):
  """Stands in for `make_measure`: OpenCV's flow, which need not be compiled."""

  def measure(onset: np.ndarray, apex: np.ndarray) -> np.ndarray:
    fields = []
    for first, second in zip(onset, apex, strict=True):
      pair = first.astype(np.uint8), second.astype(np.uint8)
      uv = cv2.calcOpticalFlowFarneback(*pair, None, 0.5, 3, 15, 3, 5, 1.2, 0)
      fields.append(np.dstack([uv, np.zeros(uv.shape[:2])]))
    return np.stack(fields).astype(np.float16)

  return measure
