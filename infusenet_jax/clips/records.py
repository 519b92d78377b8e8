"""Reads prepared TFDS records into arrays in memory."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from infusenet_jax.clips.prepared import (
  INFO,
  damaged,
  find_records,
  read_metadata,
  shard_lengths,
)
from infusenet_jax.clips.schema import NAMES, array_record, frames_held
from infusenet_jax.runtime.errors import UserError


@dataclass(frozen=True)
class Clips:
  """All clips of one or several databases, decoded once.

  Attributes:
    flow: (N, H, W, 3) float16: u, v, strain, each scaled to [0, 1] per clip.
    flow_range: (N, 2, 3) float32: the values of u, v (in pixels of the records) and
      strain that became 0 and 1 in `flow`.
    onset, apex, window_apex: (N, H, W, 3) uint8 RGB.
    labels: (N, 12) uint8, in the order of `labels.AUS`.
    database, subject, clip: (N,) text.
    simulated: whether any of the clips was drawn by the simulator.
    offset: (N, H, W, 3) uint8 RGB; None where the records of a database lack it.
  """

  flow: np.ndarray
  flow_range: np.ndarray
  onset: np.ndarray
  apex: np.ndarray
  window_apex: np.ndarray
  labels: np.ndarray
  database: np.ndarray
  subject: np.ndarray
  clip: np.ndarray
  simulated: bool
  offset: np.ndarray | None = None

  def __len__(self) -> int:
    return len(self.labels)

  def frames(self, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Returns frames by name, of `schema.FRAMES` and the offset.

    Raises:
      UserError: one is asked for that the records lack.
    """
    frames = {name: getattr(self, name) for name in names}
    if lacking := [name for name, array in frames.items() if array is None]:
      raise UserError(
        f"the records hold no {', '.join(lacking)}, which the network looks at; build "
        "them with `python -m data_prep build --offset`"
      )
    return frames

  def flow_in_pixels(self, number: int) -> np.ndarray:
    """Returns u and v of clip `number`, (H, W, 2), in pixels of the records."""
    low, high = self.flow_range[number, :, :2]
    return low + self.flow[number, ..., :2].astype(np.float32) * (high - low)


def load_clips(
  data_dir: str | Path, image_size: int, databases: Sequence[str] | None = None
) -> Clips:
  """Reads all clips of some databases, or of all databases in a folder.

  Args:
    data_dir: folder of records, the `--out` of `python -m data_prep build`.
    image_size: side to which frames and flow are resized, pixels.
    databases: keys of those wanted; all that are there if left out.

  Raises:
    UserError: `data_dir` holds no records, or lacks a database that is wanted, or its
      records are damaged.
  """
  found = find_records(data_dir)
  missing = [key for key in databases or () if key not in found]
  if missing:
    raise UserError(
      f"config.data_dir={data_dir}: no records of {', '.join(missing)} (found "
      f"{', '.join(found)}); build them with `python -m data_prep build`"
    )
  parts = [_load_database(found[key], image_size) for key in databases or found]
  shared = [name for name in parts[0] if all(name in part for part in parts)]
  columns = {name: np.concatenate([part[name] for part in parts]) for name in shared}
  return Clips(**columns | {"simulated": bool(columns["simulated"].any())})


def _load_database(folder: Path, image_size: int) -> dict[str, np.ndarray]:
  import grain  # Slow to import, and clips made in memory need it not.

  metadata = read_metadata(folder)
  source = RecordSource(folder)
  if len(source) != metadata.get("clips", len(source)):
    raise damaged(
      folder, f"{len(source)} clips, but {metadata['clips']} by its metadata.json"
    )
  # The CD6ME benchmark's own flow arrays come scaled to [0, 1]. The benchmark resizes
  # them without scaling them again, so this does too.
  scale = _as_they_are if metadata.get("flow") == "arrays" else min_max
  records = grain.MapDataset.source(source).map(
    lambda record: _to_arrays(record, image_size, scale, metadata["offset"])
  )
  threads = grain.ReadOptions(num_threads=4, prefetch_buffer_size=16)
  clips = list(
    tqdm(
      records.to_iter_dataset(threads),
      total=len(source),
      desc=f"reading {folder.parent.name}",
      unit="clip",
      delay=3,
    )
  )
  columns = {name: np.stack([clip[name] for clip in clips]) for name in clips[0]}
  return columns | {"simulated": np.full(len(clips), metadata["simulated"])}


class RecordSource:
  """The decoded records of one database, by number.

  Raises:
    UserError: on opening or reading, for whatever a damaged file makes TFDS raise, for
      another number of records than TFDS noted, and for flow that is not finite.
  """

  def __init__(self, folder: Path):
    # Slow to import, and only reading needs them.
    import tensorflow_datasets as tfds

    reader = array_record().ArrayRecordReader
    self._folder = folder
    noted = sum(shard_lengths(folder))
    with self._damage():
      builder = tfds.builder_from_directory(str(folder))
      self._source = builder.as_data_source(split="all")
      held = sum(
        reader(str(path)).num_records()
        for split in builder.info.splits.values()
        for path in split.filepaths
      )
    if held != noted or not held:
      raise damaged(folder, f"{held} clips in its files, but {noted} by its {INFO}")

  def __len__(self) -> int:
    return len(self._source)

  def __getitem__(self, number: int) -> dict:
    with self._damage():
      record = self._source[number]
    if not np.isfinite(record["flow"]).all():
      name = f"{_text(record['subject'])}/{_text(record['clip'])}"
      raise damaged(self._folder, f"the flow of clip {name} is not finite")
    return record

  @contextlib.contextmanager
  def _damage(self) -> Iterator[None]:
    try:
      yield
    except Exception as error:
      reason = (str(error).splitlines() or [type(error).__name__])[0]
      raise damaged(self._folder, reason) from error


def _to_arrays(
  record: dict,
  image_size: int,
  scale: Callable[[np.ndarray], np.ndarray],
  offset: bool = False,
) -> dict[str, np.ndarray]:
  clip = {name: resize(record[name], image_size) for name in frames_held(offset)}
  clip["flow"], clip["flow_range"] = network_flow(record["flow"], image_size, scale)
  clip["labels"] = record["labels"]
  return clip | {name: np.array(_text(record[name])) for name in NAMES}


def network_flow(
  flow: np.ndarray,
  image_size: int,
  scale: Callable[[np.ndarray], np.ndarray] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
  """What a network sees of the flow of one record.

  Args:
    flow: (H, W, 3), u, v and strain in pixels.
    image_size: that the network sees.
    scale: to [0, 1]; `min_max` by default.

  Returns:
    (image_size, image_size, 3) float16, and (2, 3) float32: what 0 and 1 are.
  """
  flow = resize(flow.astype(np.float32), image_size)
  seen = (scale or min_max)(flow).astype(np.float16)
  return seen, np.stack([flow.min((0, 1)), flow.max((0, 1))])


def _as_they_are(flow: np.ndarray) -> np.ndarray:
  return flow


# Share of its largest value by which a channel may vary and be constant all the same:
# resizing rounds.
EVEN = 1e-5


def min_max(flow: np.ndarray) -> np.ndarray:
  """Scales each channel of one clip's flow (H, W, 3) to [0, 1]; a constant one to 0."""
  low, high = flow.min((0, 1)), flow.max((0, 1))
  uneven = high - low > EVEN * np.maximum(np.abs(low), np.abs(high))
  return np.where(uneven, (flow - low) / np.where(uneven, high - low, 1), 0)


def resize(image: np.ndarray, size: int) -> np.ndarray:
  """A square image (H, H, C) at `size` pixels, as networks see records."""
  if image.shape[0] == size:
    return image
  shrinks = size < image.shape[0]
  return cv2.resize(
    image, (size, size), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
  )


def _text(value: bytes | str) -> str:
  return value.decode() if isinstance(value, bytes) else str(value)
