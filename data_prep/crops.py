"""A clip's files -> aligned crops of onset, apex, window apex and perhaps offset."""

import collections
import concurrent.futures
import dataclasses
import os
import threading
from collections.abc import Callable, Iterator

import cv2
import numpy as np

from data_prep.databases.frames import KeyFrames
from data_prep.frame_reader import FrameReader
from infusenet_jax.clips.faces.alignment import Alignment, warp, whole_frame
from infusenet_jax.clips.faces.detector import FaceDetector
from infusenet_jax.clips.flow.measured import luma
from infusenet_jax.clips.schema import OFFSET
from infusenet_jax.clips.window import WindowApex


@dataclasses.dataclass
class Crops:
  """One clip on its way to a record."""

  keys: KeyFrames
  alignment: Alignment
  grey: np.ndarray  # (2, size, size) float32 in [0, 255]: onset, apex.
  pngs: dict[str, bytes]  # Onset, apex, window apex and perhaps offset.
  window_apex: int
  unreadable: list[str]  # Candidates for the window apex that were passed over.
  offset: str = ""  # Why the onset stands in for the offset, if it does.


def load_crops(
  keys: KeyFrames,
  size: int,
  detector: FaceDetector | None,
  reader: FrameReader,
  offset: bool = False,
) -> Crops:
  """Reads a clip's frames, aligns them all by the onset and picks the window apex.

  Without a detector the frames' central squares are taken. If the offset is wanted and
  cannot be read, the onset stands in for it.

  Raises:
    ValueError: onset or apex cannot be read, or they differ in size.
  """
  onset = reader.read(keys, keys.onset)
  if keys.cropped:
    alignment = whole_frame(onset, size)
  elif detector is None:
    alignment = central_square(onset, size)
  else:
    alignment = detector.align(onset, size)

  def crop(number: int) -> np.ndarray:
    frame = reader.read(keys, number)
    if frame.shape != onset.shape:
      raise ValueError(
        f"{keys.files[number]}: {frame.shape[1]}x{frame.shape[0]} pixels, but the"
        f" onset has {onset.shape[1]}x{onset.shape[0]}"
      )
    return warp(frame, alignment.matrix, size)

  first = warp(onset, alignment.matrix, size)
  apex = crop(keys.apex)
  window, unreadable = WindowApex(first, keys.apex, apex), []
  for number in keys.candidates:
    try:
      window.offer(number, crop(number))
    except ValueError as error:
      unreadable.append(str(error))
  pngs, why = {"onset": first, "apex": apex, "window_apex": window.crop}, ""
  if offset:
    try:
      pngs[OFFSET] = first if keys.offset is None else crop(keys.offset)
    except ValueError as error:
      pngs[OFFSET], why = first, str(error)
    if keys.offset is None:
      why = f"there is no frame {keys.clip.offset} after the apex"
  return Crops(
    keys=keys,
    alignment=alignment,
    grey=np.stack([luma(first), luma(apex)]),
    pngs={name: encode(image) for name, image in pngs.items()},
    window_apex=window.number,
    unreadable=unreadable,
    offset=why,
  )


def encode(image: np.ndarray) -> bytes:
  """Encodes a crop as PNG."""
  return cv2.imencode(".png", image)[1].tobytes()


def central_square(frame: np.ndarray, size: int) -> Alignment:
  """The alignment of a frame's central square, whatever it shows."""
  height, width = frame.shape[:2]
  scale = size / min(height, width)
  # Pixel i covers [i, i + 1), so that its centre is at i + 1/2.
  x, y = ((size - scale * side + scale - 1) / 2 for side in (width, height))
  return Alignment(np.array([[scale, 0, x], [0, scale, y]]), size, "centre")


def stream_crops(
  clips: list[KeyFrames],
  size: int,
  make_detector: Callable[[], FaceDetector | None],
  ahead: int,
  offset: bool = False,
) -> Iterator[tuple[KeyFrames, Crops | ValueError]]:
  """Every clip in order with its crops, or with the reason why there are none.

  All cores decode, at most `ahead` clips in advance, so that memory stays flat.
  OpenCV releases the interpreter's lock, so that threads are enough.
  """
  local = threading.local()

  def load(keys: KeyFrames) -> Crops:
    if not hasattr(local, "detector"):
      local.detector, local.reader = make_detector(), FrameReader()
    return load_crops(keys, size, local.detector, local.reader, offset)

  threads = cv2.getNumThreads()
  # The clips are the parallelism.
  cv2.setNumThreads(1)
  pool = concurrent.futures.ThreadPoolExecutor(os.cpu_count())
  waiting = collections.deque()
  todo = iter(clips)
  try:
    while True:
      while len(waiting) < ahead and (keys := next(todo, None)):
        waiting.append((keys, pool.submit(load, keys)))
      if not waiting:
        return
      keys, future = waiting.popleft()
      try:
        yield keys, future.result()
      except (ValueError, cv2.error) as error:
        yield keys, ValueError(" ".join(str(error).split()))
  finally:
    pool.shutdown(cancel_futures=True)
    cv2.setNumThreads(threads)
