"""Builds records: key frames -> one alignment per clip -> crops -> flow -> records."""

import contextlib
import dataclasses
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from data_prep.alignments import AlignmentTable
from data_prep.crops import Crops, stream_crops
from data_prep.databases.annotations.clips import Clip
from data_prep.databases.database import Database
from data_prep.databases.layouts import LAYOUTS
from data_prep.flow_arrays import FlowArray, open_flow_array
from data_prep.flows import ArrayFlow, MeasuredFlow
from data_prep.outcomes import Outcome
from data_prep.output import check_space, digest, find_finished, unfinished
from data_prep.records import RecordWriter
from data_prep.simulator.truth import TruthWriter
from data_prep.sources import Source, describe
from infusenet_jax.clips.faces.detector import FaceDetector
from infusenet_jax.clips.flow.measured import FLOW_BATCH, make_measure
from infusenet_jax.clips.labels import DATABASES
from infusenet_jax.clips.schema import (
  FRAMES,
  HEADS,
  UNSAID,
  VERSION,
  array_record,
  frames_held,
)
from infusenet_jax.runtime.errors import UserError
from infusenet_jax.runtime.files import lock

RECIPE = 4  # Raised whenever the same source would give other records.
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
  flow, strain: how they are measured; see `make_measure`.
  flow_arrays: folder of the CD6ME benchmark's flow arrays, to use in place of
    measuring.
  head: what becomes of the head's own motion, one of `HEADS`.
  offset: whether records hold the frame at the offset, too.
  """

  size: int = 224
  cropped: bool = False
  faces: str = "find"
  face_model: Path | None = None
  flow: str = "infusenet"
  strain: str = "textbook"
  flow_arrays: Path | None = None
  head: str = HEADS[0]
  offset: bool = False

  def identity(self) -> dict:
    """Returns the options that the records depend on, as in their metadata."""
    model = self.face_model if self.faces == "find" else None
    return {
      "recipe": RECIPE,
      "size": self.size,
      "cropped": self.cropped,
      "faces": self.faces,
      "face_model": digest(model.read_bytes()) if model else None,
      "flow": "arrays" if self.flow_arrays else self.flow,
      "strain": "arrays" if self.flow_arrays else self.strain,
      "head": self.head,
      "offset": self.offset,
    }

  def detector(self) -> FaceDetector | None:
    """Makes a detector for one thread; None if faces are not to be looked for.

    Raises:
      UserError: the model file is missing or is not a YuNet model.
    """
    return None if self.faces == "none" else FaceDetector(self.face_model)


DEFAULT = Options()


def build(
  sources: Sequence[Source], out: Path, options: Options = DEFAULT
) -> list[Outcome]:
  """Builds the records of every database that was opened.

  Each database is written to a folder of another name, which is renamed when it is
  complete. Records that are already there, from the same source and options, are kept.

  Args:
    sources: databases, or why they could not be opened.
    out: folder for the records, OUT/<key>/1.0.0.
    options: how the records are made.

  Returns:
    One outcome per source, with a failure where it could not be built.

  Raises:
    UserError: nothing can be built at all.
  """
  if options.head == "removed" and options.flow_arrays:
    raise UserError(
      "--head removed: the flow of --flow-arrays holds the head's motion; leave out one"
      " of the two"
    )
  options.detector()  # Complains now about a wrong model file, not per clip;
  array_record()  # and about a package that is missing.
  measured = MeasuredFlow(make_measure(options.flow, options.strain), options.strain)
  outcomes, opened = [], []
  for source in sources:
    outcomes.append(Outcome(source.key, source.name, failure=source.failure))
    if source.database:
      database = source.database
      if options.offset:
        clips = [keys.with_offset() for keys in database.clips]
        database = dataclasses.replace(database, clips=clips)
      outcomes[-1].name = database.complete_name
      identity = {
        "simulated": bool(database.source),
        "source": database.source,
        **options.identity(),
        "fingerprint": _fingerprint(database),
        "frames": bool(database.clips),
      }
      opened.append((outcomes[-1], database, identity))
  if not opened:
    return outcomes
  total = sum(len(database.clips or database.listed) for _, database, _ in opened)
  with contextlib.ExitStack() as stack:
    if not _all_finished(out, [pair for _, *pair in opened]):
      stack.enter_context(lock(out))
    bar = stack.enter_context(tqdm(total=total, unit="clip", smoothing=0.1))
    for outcome, database, identity in opened:
      bar.set_description(f"build {database.name}")
      start = time.monotonic()
      try:
        _build_database(database, out, identity, options, measured, outcome, bar)
      except UserError as error:
        outcome.clips, outcome.failure = 0, str(error)
      outcome.seconds = time.monotonic() - start
  return outcomes


def _all_finished(out: Path, databases: list[tuple[Database, dict]]) -> bool:
  """Whether nothing is to be written; then another run may be writing there."""
  try:
    return all(find_finished(_folder(out, d), identity) for d, identity in databases)
  except UserError:
    return False  # Building its database raises the error again.


def _folder(out: Path, database: Database) -> Path:
  return out / database.key / VERSION


def _build_database(
  database: Database,
  out: Path,
  identity: dict,
  options: Options,
  measured: MeasuredFlow,
  outcome: Outcome,
  bar: tqdm,
) -> None:
  outcome.annotated = database.annotated
  outcome.taken = describe(database)
  outcome.fixes = database.fixes
  finished = _folder(out, database)
  array = None
  if options.offset and not database.clips:
    raise UserError(f"--offset: {database.folder} has no frames; leave --offset out")
  if options.flow_arrays:
    array = _open_array(options.flow_arrays, database)
  if metadata := find_finished(finished, identity):
    outcome.reused = True
    for field in KEPT:
      setattr(outcome, field, metadata[field])
    bar.update(len(database.clips or database.listed))
    return
  frames = frames_held(options.offset)
  check_space(out, len(database.clips or database.listed), options.size, len(frames))
  outcome.problems, outcome.notes = list(database.problems), list(database.notes)
  outcome.lacking = list(database.lacking)
  with (
    unfinished(finished) as folder,
    RecordWriter(folder, database.key, options.size, options.offset) as to,
  ):
    if database.clips:
      flow = measured
      if array:
        flow = ArrayFlow(array, database.built_clips, measured, options.size)
      built = _write_clips(database, folder, to, options, flow, outcome, bar)
    else:
      built = _write_flow_alone(database, to, array, options.size, bar)
      outcome.notes.append(f"{array.order}; no frames, so flow and labels alone")
    outcome.clips = len(built)
    outcome.subjects = len({clip.subject for clip in built})
    outcome.counts = database.compare_counts(built, outcome.lacking)
    to.finish(
      f"{database.complete_name}: onset, apex and window apex"
      f"{', offset' * options.offset}, aligned, with optical flow and action units",
      {n: x for n, x in identity.items() if (n, x) not in UNSAID.items()}
      | database.published
      | {field: getattr(outcome, field) for field in KEPT},
    )


def _open_array(folder: Path, database: Database) -> FlowArray:
  if database.key not in DATABASES:
    raise UserError(f"--flow-arrays: there are none of {database.name}; build it apart")
  return open_flow_array(folder, database.key, database.listed)


def _write_clips(
  database: Database,
  folder: Path,
  to: RecordWriter,
  options: Options,
  flow: MeasuredFlow | ArrayFlow,
  outcome: Outcome,
  bar: tqdm,
) -> list[Clip]:
  """Writes all clips that can be read, and what lies beside their records."""
  built = []
  alignments = AlignmentTable(faces_sought=options.faces == "find")
  without_offset = []
  # Truth is known of simulated clips alone.
  truth = TruthWriter(database.folder.resolve().parent) if database.source else None
  for batch in _batches(_crops(database, options, outcome, bar)):
    removed = options.head == "removed"
    pairs = flow.steady(batch) if removed else zip(batch, flow(batch), strict=True)
    for crops, field in pairs:
      to.write(_example(crops, field))
      onset = crops.keys.files[crops.keys.onset]
      alignments.add(crops.keys.clip, onset, crops.alignment)
      if crops.offset:
        without_offset.append(f"{crops.keys.clip.place} ({crops.offset})")
      if truth:
        truth.add(crops.keys.clip, crops.alignment)
      built.append(crops.keys.clip)
  if not built:
    raise UserError(f"{database.folder}: no clip is readable; {outcome.problems[-1]}")
  if options.head == "removed":
    outcome.notes.append("the head's own motion was removed from flow and apexes")
  if without_offset:
    outcome.notes.append(
      f"the onset stands in for the offset in {len(without_offset)} of {len(built)}"
      f" clips: {', '.join(without_offset)}"
    )
  outcome.notes += alignments.notes() + flow.notes()
  alignments.write(folder)
  if truth:
    truth.write(folder)
  return built


def _write_flow_alone(
  database: Database, to: RecordWriter, array: FlowArray, size: int, bar: tqdm
) -> list[Clip]:
  """Writes records of all annotated clips, with flow from an array and black frames."""
  black = cv2.imencode(".png", np.zeros((size, size, 3), np.uint8))[1].tobytes()
  for clip in database.listed:
    keys = {"onset_frame": clip.onset, "apex_frame": clip.apex}
    to.write(
      dict.fromkeys(FRAMES, black)
      | _annotated(clip, array.flow(clip, size))
      | keys
      | {"window_apex_frame": clip.apex, "fps": LAYOUTS[database.key].fps}
      | {"aligned": False}
    )
    bar.update()
  return list(database.listed)


def _crops(
  database: Database, options: Options, outcome: Outcome, bar: tqdm
) -> Iterator[Crops]:
  """Yields the crops of the clips that can be read, in the sheet's order.

  A clip that cannot be read is added to the outcome's problems.
  """
  ahead = 3 * FLOW_BATCH
  stream = stream_crops(
    database.clips, options.size, options.detector, ahead, options.offset
  )
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


def _example(crops: Crops, flow: np.ndarray) -> dict:
  return (
    crops.pngs
    | _annotated(crops.keys.clip, flow)
    | {
      "onset_frame": crops.keys.onset,
      "apex_frame": crops.keys.apex,
      "window_apex_frame": crops.window_apex,
      "fps": crops.keys.fps,
      "aligned": crops.alignment.aligned,
    }
  )


def _annotated(clip: Clip, flow: np.ndarray) -> dict:
  """Makes the fields of a record that do not come from its frames."""
  return {
    "flow": flow,
    "labels": np.array(clip.labels, np.uint8),
    "aus": clip.aus,
    "emotion": clip.emotion,
    "database": clip.database,
    "subject": clip.subject,
    "clip": clip.name,
    "offset_frame": clip.offset,
  }


def _fingerprint(database: Database) -> str:
  """Hashes a database's annotations, and the names and sizes of the frames used."""
  lines = []
  if not database.clips:
    lines = [repr(clip) for clip in database.listed]
  for keys in database.clips:
    sizes = [(n, path.name, _bytes(path)) for n, path in keys.files.items()]
    lines.append(repr((keys.clip, keys.cropped, keys.fps, sizes)))
  return digest("\n".join(lines).encode())


def _bytes(path: Path) -> int:
  try:
    return path.stat().st_size
  except OSError:
    return -1  # Reading the file will raise the error that says what is wrong.
