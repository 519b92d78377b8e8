"""Building records: key frames -> one alignment -> crops -> flow -> TFDS records."""

import contextlib
import dataclasses
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from tqdm import tqdm

from data_prep.alignments import AlignmentTable
from data_prep.crops import Crops, stream_crops
from data_prep.databases.database import Database
from data_prep.outcomes import Outcome
from data_prep.output import check_space, digest, find_finished, unfinished
from data_prep.records import RecordWriter
from data_prep.simulator.truth import TruthWriter
from data_prep.sources import Source, describe
from infusenet_jax.clips.faces import FaceDetector
from infusenet_jax.clips.flow import optical_flow, optical_strain
from infusenet_jax.clips.schema import VERSION
from infusenet_jax.runtime.errors import UserError
from infusenet_jax.runtime.files import lock

FLOW_BATCH = 16  # One shape, so that the flow is compiled once.
RECIPE = 4  # Counts changes to what the same source puts into a record.
# Fields of an outcome that the records' metadata keep.
KEPT = (
  *("clips", "subjects", "centred", "problems", "notes", "fixes", "counts", "lacking"),
)


@dataclasses.dataclass(frozen=True)
class Options:
  """How records are made.

  size: of the square crops, pixels.
  cropped: the frames are faces already cropped; they are only resized.
  faces: "find" them and align by the eyes, or "none": take the frames' central squares.
  face_model: YuNet .onnx file to use in place of MTCNN.
  """

  size: int = 224
  cropped: bool = False
  faces: str = "find"
  face_model: Path | None = None

  def identity(self) -> dict:
    """What the records depend on, as their metadata hold it."""
    model = self.face_model if self.faces == "find" else None
    return {
      "recipe": RECIPE,
      "size": self.size,
      "cropped": self.cropped,
      "faces": self.faces,
      "face_model": digest(model.read_bytes()) if model else None,
    }

  def detector(self) -> FaceDetector | None:
    """A new detector, for one thread; None where faces are not looked for.

    Raises:
      UserError: the model file is missing or is not a YuNet model.
    """
    return None if self.faces == "none" else FaceDetector(self.face_model)


DEFAULT = Options()


def build(
  sources: Sequence[Source], out: Path, options: Options = DEFAULT
) -> list[Outcome]:
  """Builds the records of every database that was opened.

  Each database is written beside its place and renamed when it is whole. One that is
  already there, from the same source and options, is left as it is.

  Args:
    sources: databases, or why there are none.
    out: gets OUT/<key>/1.0.0.
    options: how.

  Returns:
    One outcome per source, with a failure where it could not be built.

  Raises:
    UserError: nothing can be built at all.
  """
  options.detector()  # Complains now about a wrong model file, not per clip.
  outcomes, opened = [], []
  for source in sources:
    outcomes.append(Outcome(source.key, source.name, failure=source.failure))
    if source.database:
      outcomes[-1].name = source.database.complete_name
      identity = {
        "simulated": bool(source.database.source),
        "source": source.database.source,
        **options.identity(),
        "fingerprint": _fingerprint(source.database),
      }
      opened.append((outcomes[-1], source.database, identity))
  if not opened:
    return outcomes
  total = sum(len(database.clips) for _, database, _ in opened)
  with contextlib.ExitStack() as stack:
    if not _all_finished(out, [pair for _, *pair in opened]):
      stack.enter_context(lock(out))
    bar = stack.enter_context(tqdm(total=total, unit="clip", smoothing=0.1))
    for outcome, database, identity in opened:
      bar.set_description(f"build {database.name}")
      start = time.monotonic()
      try:
        _build_database(database, out, identity, options, outcome, bar)
      except UserError as error:
        outcome.clips, outcome.failure = 0, str(error)
      outcome.seconds = time.monotonic() - start
  return outcomes


def _all_finished(out: Path, databases: list[tuple[Database, dict]]) -> bool:
  """Whether nothing is to be written, so that another run there need not be over."""
  try:
    return all(find_finished(_folder(out, d), identity) for d, identity in databases)
  except UserError:
    return False  # It is said for its database.


def _folder(out: Path, database: Database) -> Path:
  return out / database.key / VERSION


def _build_database(
  database: Database,
  out: Path,
  identity: dict,
  options: Options,
  outcome: Outcome,
  bar: tqdm,
) -> None:
  outcome.annotated = database.annotated
  outcome.taken = describe(database)
  outcome.fixes = database.fixes
  finished = _folder(out, database)
  if metadata := find_finished(finished, identity):
    outcome.reused = True
    for field in KEPT:
      setattr(outcome, field, metadata[field])
    bar.update(len(database.clips))
    return
  check_space(out, len(database.clips), options.size)
  outcome.problems, outcome.notes = list(database.problems), list(database.notes)
  outcome.lacking = list(database.lacking)
  built = []
  alignments = AlignmentTable(faces_sought=options.faces == "find")
  # Truth is known of simulated clips alone.
  truth = TruthWriter(database.folder.resolve().parent) if database.source else None
  with (
    unfinished(finished) as folder,
    RecordWriter(folder, database.key, options.size) as to,
  ):
    for batch in _batches(_crops(database, options, outcome, bar)):
      for crops, flow in zip(batch, _flow(batch, options.size), strict=True):
        to.write(_example(crops, flow))
        onset = crops.keys.files[crops.keys.onset]
        alignments.add(crops.keys.clip, onset, crops.alignment)
        if truth:
          truth.add(crops.keys.clip, crops.alignment)
        built.append(crops.keys.clip)
    if not built:
      raise UserError(f"{database.folder}: no clip is readable; {outcome.problems[-1]}")
    outcome.clips = len(built)
    outcome.subjects = len({clip.subject for clip in built})
    outcome.counts = database.compare_counts(built, outcome.lacking)
    outcome.notes += alignments.notes()
    alignments.write(folder)
    if truth:
      truth.write(folder)
    to.finish(
      f"{database.complete_name}: onset, apex and window apex, aligned, with optical"
      " flow and action units",
      identity
      | database.published
      | {field: getattr(outcome, field) for field in KEPT},
    )


def _crops(
  database: Database, options: Options, outcome: Outcome, bar: tqdm
) -> Iterator[Crops]:
  """The clips that can be read, in the sheet's order; the others become problems."""
  ahead = 3 * FLOW_BATCH
  stream = stream_crops(database.clips, options.size, options.detector, ahead)
  for keys, crops in stream:
    place = f"{database.key} {keys.clip.place}"
    if isinstance(crops, ValueError):
      outcome.problems.append(f"{place}: {crops}; the clip is left out")
      outcome.lacking.append(keys.clip.place)
    else:
      outcome.problems += [
        f"{place}: {line}; it cannot be the window apex" for line in crops.unreadable
      ]
      outcome.centred += not crops.alignment.aligned
      yield crops
    bar.update()


def _batches(crops: Iterator[Crops]) -> Iterator[list[Crops]]:
  batch = []
  for item in crops:
    batch.append(item)
    if len(batch) == FLOW_BATCH:
      yield batch
      batch = []
  if batch:
    yield batch


@jax.jit
def _flow_and_strain(onset: jax.Array, apex: jax.Array) -> jax.Array:
  flow = optical_flow(onset, apex)
  return jnp.concatenate([flow, optical_strain(flow)[..., None]], -1)


def _flow(batch: list[Crops], size: int) -> np.ndarray:
  """(len(batch), size, size, 3) float16: u, v, strain; the batch is padded."""
  grey = np.zeros((2, FLOW_BATCH, size, size), np.float32)
  grey[:, : len(batch)] = np.stack([crops.grey for crops in batch], 1)
  return np.asarray(_flow_and_strain(*grey))[: len(batch)].astype(np.float16)


def _example(crops: Crops, flow: np.ndarray) -> dict:
  clip = crops.keys.clip
  return crops.pngs | {
    "flow": flow,
    "labels": np.array(clip.labels, np.uint8),
    "aus": clip.aus,
    "emotion": clip.emotion,
    "database": clip.database,
    "subject": clip.subject,
    "clip": clip.name,
    "onset_frame": crops.keys.onset,
    "apex_frame": crops.keys.apex,
    "window_apex_frame": crops.window_apex,
    "offset_frame": clip.offset,
    "fps": crops.keys.fps,
    "aligned": crops.alignment.aligned,
  }


def _fingerprint(database: Database) -> str:
  """Changes with the annotations and with the names or sizes of the frames used."""
  lines = []
  for keys in database.clips:
    sizes = [(n, path.name, _bytes(path)) for n, path in keys.files.items()]
    lines.append(repr((keys.clip, keys.cropped, keys.fps, sizes)))
  return digest("\n".join(lines).encode())


def _bytes(path: Path) -> int:
  try:
    return path.stat().st_size
  except OSError:
    return -1  # Reading it will say what is wrong.
