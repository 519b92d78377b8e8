"""Pictures: frames read from files, flow and maps in colour, JPEG for web pages."""

import base64
from pathlib import Path

import cv2
import numpy as np


def read_frame(path: Path) -> np.ndarray:
  """A frame as (H, W, 3) uint8, blue-green-red; grey frames get equal channels.

  Raises:
    ValueError: an empty, truncated or undecodable file. Decoders fill the missing
      part of a truncated JPEG with grey, so the end mark is looked for.
  """
  try:
    data = path.read_bytes()
  except OSError as error:
    raise ValueError(f"{path}: cannot be read ({error.strerror})") from error
  if not data:
    raise ValueError(f"{path}: zero bytes")
  tail = data[-4096:]
  if (data[:2] == b"\xff\xd8" and b"\xff\xd9" not in tail) or (
    data[:4] == b"\x89PNG" and b"IEND" not in tail
  ):
    raise ValueError(f"{path}: truncated image, {len(data)} bytes")
  image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
  if image is None:
    raise ValueError(f"{path}: not an image that OpenCV can decode")
  return image


def frame_uri(frame: np.ndarray) -> str:
  """A frame (H, W, 3) or (H, W), uint8 RGB, as a JPEG data URI."""
  frame = np.ascontiguousarray(frame[..., ::-1] if frame.ndim == 3 else frame)
  _, data = cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, 90])
  return "data:image/jpeg;base64," + base64.b64encode(data).decode()


def flow_colours(flow: np.ndarray) -> np.ndarray:
  """Flow (H, W, 2 or more) in pixels as RGB uint8: hue is direction, depth is length.

  White stands still; the clip's 99.5th percentile of length is full colour.
  """
  u, v = np.moveaxis(np.asarray(flow, np.float32), -1, 0)[:2]
  length = np.hypot(u, v)
  depth = np.clip(length / max(np.percentile(length, 99.5), 1e-6), 0, 1)
  hue = (np.degrees(np.arctan2(v, u)) % 360) / 2
  hsv = np.stack([hue, 255 * depth, np.full_like(hue, 255)], -1).astype(np.uint8)
  return cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)


def heat_colours(values: np.ndarray, frame: np.ndarray) -> np.ndarray:
  """A map (h, w), not negative, over a frame (H, W, 3) uint8 RGB, shaped alike.

  Black is 0, pale yellow the map's largest value; the frame shows through in grey.
  """
  values = values / max(float(values.max()), 1e-30)
  height, width = frame.shape[:2]
  heat = np.clip(cv2.resize(values.astype(np.float32), (width, height)), 0, 1)
  heat = cv2.applyColorMap(np.uint8(255 * heat), cv2.COLORMAP_INFERNO)
  grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)[..., None]
  return np.uint8(0.65 * heat[..., ::-1] + 0.35 * grey)
