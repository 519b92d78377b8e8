"""Reads frames from files, draws flow and maps in colour, encodes JPEG for pages."""

import base64
from pathlib import Path

import cv2
import numpy as np

from infusenet_jax.clips.frames.header import image_size

# Limits of an image file. The databases' cameras have at most 2.2 million pixels, 8K
# video has 33 million.
MOST_PIXELS = 50_000_000
MOST_BYTES = 200_000_000
LEAST_SIDE = 32  # Pixels: a smaller frame cannot show a face's brows, eyes and mouth.


def read_frame(path: Path) -> np.ndarray:
  """Reads a frame as (H, W, 3) uint8, blue-green-red; grey ones get equal channels.

  Raises:
    ValueError: the file is unreadable, empty, truncated, larger than MOST_BYTES or not
      decodable, or its header claims a side of less than LEAST_SIDE pixels or more than
      MOST_PIXELS in all. A JPEG or PNG without its end mark counts as truncated, since
      decoders would fill the missing part of a JPEG with grey.
  """
  data = _file_bytes(path)
  tail = data[-4096:]
  if (data[:2] == b"\xff\xd8" and b"\xff\xd9" not in tail) or (
    data[:4] == b"\x89PNG" and b"IEND" not in tail
  ):
    raise ValueError(f"{path}: truncated image, {len(data)} bytes")
  size = image_size(data)
  if size is None:
    raise ValueError(f"{path}: not an image, expected JPEG, PNG, BMP or TIFF")
  check_frame_size(*size, path)
  try:
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
  except cv2.error as error:
    reason = " ".join(str(error).split())[:120]
    raise ValueError(f"{path}: OpenCV cannot decode it ({reason})") from error
  if image is None:
    raise ValueError(f"{path}: not an image that OpenCV can decode")
  return image


def check_frame_size(width: int, height: int, place: object) -> None:
  """Raises ValueError, naming the place, for a frame that is too small or too large."""
  if min(width, height) < LEAST_SIDE:
    raise ValueError(
      f"{place}: {width}x{height} pixels; a frame has at least {LEAST_SIDE} a side"
    )
  if width * height > MOST_PIXELS:
    raise ValueError(
      f"{place}: its header claims {width}x{height} pixels; a frame has at most"
      f" {MOST_PIXELS / 1e6:.0f} million"
    )


def _file_bytes(path: Path) -> bytes:
  try:
    if (size := path.stat().st_size) > MOST_BYTES:
      raise ValueError(
        f"{path}: {size / 1e6:,.0f} MB; an image has at most {MOST_BYTES / 1e6:.0f} MB"
      )
    data = path.read_bytes()
  except OSError as error:
    raise ValueError(f"{path}: cannot be read ({error.strerror})") from error
  if not data:
    raise ValueError(f"{path}: zero bytes")
  return data


def frame_uri(frame: np.ndarray, *, webp: bool = False) -> str:
  """A frame (H, W, 3) or (H, W), uint8 RGB, as a JPEG or WebP data URI."""
  frame = np.ascontiguousarray(frame[..., ::-1] if frame.ndim == 3 else frame)
  kind, quality = ("jpeg", cv2.IMWRITE_JPEG_QUALITY)
  if webp:
    kind, quality = ("webp", cv2.IMWRITE_WEBP_QUALITY)
  _, data = cv2.imencode(f".{kind}", frame, [quality, 90])
  return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def flow_scale(flow: np.ndarray) -> float:
  """The 99.5th percentile of the length of a flow (H, W, 2 or more), pixels."""
  return float(np.percentile(np.hypot(flow[..., 0], flow[..., 1]), 99.5))


def flow_colours(flow: np.ndarray, full: float | None = None) -> np.ndarray:
  """Flow (H, W, 2 or more) in pixels as RGB uint8: hue is direction, depth is length.

  White stands still; a length of `full` pixels, or else of the clip's `flow_scale`, is
  full colour.
  """
  u, v = np.moveaxis(np.asarray(flow, np.float32), -1, 0)[:2]
  length = np.hypot(u, v)
  full = flow_scale(flow) if full is None else full
  depth = np.clip(length / max(full, 1e-6), 0, 1)
  hue = (np.degrees(np.arctan2(v, u)) % 360) / 2
  hsv = np.stack([hue, 255 * depth, np.full_like(hue, 255)], -1).astype(np.uint8)
  return cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)


def heat_colours(
  values: np.ndarray, frame: np.ndarray, full: float | None = None
) -> np.ndarray:
  """Draws a map over a frame: black is 0, pale yellow is `full`.

  Args:
    values: (h, w), not negative; resized to the frame.
    frame: (H, W, 3) uint8 RGB, which shows through in grey.
    full: the value that gets the brightest colour; the map's largest if left out.

  Returns:
    (H, W, 3) uint8 RGB.
  """
  values = values / max(float(values.max()) if full is None else full, 1e-30)
  height, width = frame.shape[:2]
  heat = np.clip(cv2.resize(values.astype(np.float32), (width, height)), 0, 1)
  heat = cv2.applyColorMap(np.uint8(255 * heat), cv2.COLORMAP_INFERNO)
  grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)[..., None]
  return np.uint8(0.65 * heat[..., ::-1] + 0.35 * grey)
