"""Building records: key frames -> one alignment -> crops -> flow -> TFDS records."""

import contextlib
import dataclasses
import time
from collections.abc import Iterator
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from tqdm import tqdm

from data_prep.alignments import AlignmentTable
from data_prep.crops import Crops, stream_crops
from data_prep.databases.find import (
  Database,
  find_databases,
  open_database,
  read_simulated,
)
from data_prep.output import check_space, digest, find_finished, unfinished
from data_prep.records import RecordWriter
from data_prep.simulator.truth import TruthWriter
from infusenet_jax.clips.faces import FaceDetector
from infusenet_jax.clips.flow import optical_flow, optical_strain
from infusenet_jax.clips.labels import DATABASES
from infusenet_jax.clips.schema import VERSION
from infusenet_jax.runtime.errors import UserError
from infusenet_jax.runtime.files import lock
from infusenet_jax.runtime.text import format_table, print_lines

FLOW_BATCH = 16  # One shape, so that the flow is compiled once.
RECIPE = 3  # Counts changes to what the same source puts into a record.


@dataclasses.dataclass
class Outcome:
  """What became of one database; the lines name file and row or clip."""

  key: str
  annotated: int = 0
  clips: int = 0
  subjects: int = 0
  centred: int = 0  # Clips without a face found, cropped around the centre.
  seconds: float = 0.0
  reused: bool = False
  problems: list[str] = dataclasses.field(default_factory=list)
  notes: list[str] = dataclasses.field(default_factory=list)
  fixes: list[str] = dataclasses.field(default_factory=list)
  failure: str = ""  # Why there are no records, where there are none.


def build(
  root: Path,
  out: Path,
  databases: list[str] | None = None,
  size: int = 224,
  cropped: bool = False,
  face_model: Path | None = None,
) -> list[Outcome]:
  """Builds the records of every database found below `root`.

  Each database is written beside its place and renamed when it is whole. One that is
  already there, from the same source and options, is left as it is.

  Args:
    root: holds the databases' folders.
    out: gets OUT/<key>/1.0.0.
    databases: keys; all that are found if None.
    size: of the square crops, pixels.
    cropped: the frames are faces already cropped; only resize them.
    face_model: YuNet .onnx file to use in place of MTCNN.

  Returns:
    One outcome per database, with a failure where it could not be built.

  Raises:
    UserError: nothing can be built at all.
  """
  source = read_simulated(root)
  folders = find_databases(root, databases)
  FaceDetector(face_model)  # Complains now about a wrong model file, not per clip.
  options = {
    "recipe": RECIPE,
    "size": size,
    "cropped": cropped,
    "face_model": digest(face_model.read_bytes()) if face_model else None,
  }
  outcomes, opened = [], []
  for key, folder in folders.items():
    outcomes.append(Outcome(key))
    try:
      database = open_database(key, folder, bool(source), cropped)
      identity = {
        "simulated": bool(source),
        "source": source,
        **options,
        "fingerprint": _fingerprint(database),
      }
      opened.append((outcomes[-1], database, identity))
    except UserError as error:
      outcomes[-1].failure = str(error)
  if not opened:
    return outcomes
  total = sum(len(database.clips) for _, database, _ in opened)
  with contextlib.ExitStack() as stack:
    if not _all_finished(out, [pair for _, *pair in opened]):
      stack.enter_context(lock(out))
    bar = stack.enter_context(tqdm(total=total, unit="clip", smoothing=0.1))
    for outcome, database, identity in opened:
      bar.set_description(f"build {DATABASES[outcome.key]}")
      start = time.monotonic()
      try:
        truth = TruthWriter(root) if source else None
        _build_database(database, out, identity, face_model, outcome, bar, truth)
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
  return out / database.layout.key / VERSION


def _build_database(
  database: Database,
  out: Path,
  identity: dict,
  face_model: Path | None,
  outcome: Outcome,
  bar: tqdm,
  truth: TruthWriter | None,
) -> None:
  key, size = database.layout.key, identity["size"]
  outcome.annotated = len(database.annotations.clips)
  outcome.fixes = database.annotations.fixes
  kept = ("clips", "subjects", "centred", "problems", "notes", "fixes")
  finished = _folder(out, database)
  if metadata := find_finished(finished, identity):
    outcome.reused = True
    for field in kept:
      setattr(outcome, field, metadata[field])
    bar.update(len(database.clips))
    return
  check_space(out, len(database.clips), size)
  outcome.problems, outcome.notes = list(database.problems), list(database.notes)
  subjects, alignments = set(), AlignmentTable()
  with unfinished(finished) as folder, RecordWriter(folder, key, size) as to:
    for batch in _batches(_crops(database, size, face_model, outcome, bar)):
      for crops, flow in zip(batch, _flow(batch, size), strict=True):
        to.write(_example(crops, flow, database.layout.fps))
        onset = crops.keys.files[crops.keys.onset]
        alignments.add(crops.keys.clip, onset, crops.alignment)
        if truth:
          truth.add(crops.keys.clip, crops.alignment)
        subjects.add(crops.keys.clip.subject)
        outcome.clips += 1
    if not outcome.clips:
      raise UserError(f"{database.folder}: no clip is readable; {outcome.problems[-1]}")
    outcome.subjects = len(subjects)
    outcome.notes += alignments.notes()
    alignments.write(folder)
    if truth:
      truth.write(folder)
    to.finish(
      f"{'Simulated' if identity['simulated'] else 'Licensed'} {DATABASES[key]}: onset,"
      " apex and window apex, aligned, with optical flow and action units",
      identity | {field: getattr(outcome, field) for field in kept},
    )


def _crops(
  database: Database, size: int, face_model: Path | None, outcome: Outcome, bar: tqdm
) -> Iterator[Crops]:
  """The clips that can be read, in the sheet's order; the others become problems."""
  for keys, crops in stream_crops(database.clips, size, face_model, 3 * FLOW_BATCH):
    place = f"{database.layout.key} {keys.clip.subject}/{keys.clip.name}"
    if isinstance(crops, ValueError):
      outcome.problems.append(f"{place}: {crops}; the clip is left out")
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


def _example(crops: Crops, flow: np.ndarray, fps: float) -> dict:
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
    "fps": fps,
    "aligned": crops.alignment.aligned,
  }


def _fingerprint(database: Database) -> str:
  """Changes with the annotations and with the names or sizes of the frames used."""
  lines = []
  for keys in database.clips:
    sizes = [(n, path.name, _bytes(path)) for n, path in keys.files.items()]
    lines.append(repr((keys.clip, keys.cropped, sizes)))
  return digest("\n".join(lines).encode())


def _bytes(path: Path) -> int:
  try:
    return path.stat().st_size
  except OSError:
    return -1  # Reading it will say what is wrong.


def print_outcomes(outcomes: list[Outcome], all_wanted: bool) -> int:
  """Lists problems on stderr, then prints the table; returns build's exit status.

  `all_wanted`: no databases were named, so those without a folder get a row too.
  """
  rows = []
  for outcome in outcomes:
    print_lines(outcome.notes + outcome.problems)
    if outcome.failure:
      print_lines([outcome.failure])
    state = "kept" if outcome.reused else f"{outcome.seconds:.0f} s"
    rows.append(
      [
        DATABASES[outcome.key],
        f"{outcome.clips} of {outcome.annotated}",
        outcome.subjects,
        outcome.centred,
        len(outcome.fixes),
        len(outcome.problems),
        "not built" if outcome.failure else state,
      ]
    )
  if all_wanted:
    built = {outcome.key for outcome in outcomes}
    rows += [
      [DATABASES[key], *"-----", "not there"] for key in DATABASES if key not in built
    ]
  header = ["database", "clips", "subjects", "centre crops", "fixes", "problems", ""]
  print(format_table(header, rows))
  if any(outcome.failure for outcome in outcomes):
    return 2
  return int(any(outcome.problems for outcome in outcomes))
