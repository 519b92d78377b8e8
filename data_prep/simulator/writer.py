"""Writes simulated databases to disk, in the layouts that licensees have.

While it works, ROOT/SIMULATED.partial.json holds the parameters; the last step renames
it to SIMULATED.json. A clip is finished when its truth file is there, so a run that
was stopped goes on where it was.
"""

import concurrent.futures
import dataclasses
import itertools
import json
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from data_prep.databases.find import SIMULATED, UNFINISHED
from data_prep.databases.layouts import LAYOUTS
from data_prep.simulator.camera.film import Film
from data_prep.simulator.camera.studio import Studio
from data_prep.simulator.plan.difficulty import PLAIN, Difficulty
from data_prep.simulator.plan.population import PlannedClip, at_rest, plan_database
from data_prep.simulator.workbooks import workbook_bytes
from infusenet_jax.clips.window import window_reach
from infusenet_jax.runtime.errors import UserError
from infusenet_jax.runtime.files import lock

VERSION = 2  # Raised whenever the same parameters would give other files.
AT_ONCE = (
  12  # Clips of one subject in a job; its portrait takes as long to draw as a clip.
)
DENSEST = 100  # Most frames a second that `--frames key` keeps around the apex.


@dataclasses.dataclass(frozen=True)
class Parameters:
  """The parameters of a simulation, which SIMULATED.json holds."""

  seed: int = 0
  scale: float = 1.0
  nuisance: float = 1.0
  frames: str = "all"  # Or "key".
  labels: str = "statistics"  # Or "balanced".
  databases: tuple[str, ...] = tuple(LAYOUTS)
  version: int = VERSION
  only: str = "all"  # Or one of nuisance.KINDS.
  still: bool = False  # Faces at rest: no AU, no distractor, no blink.
  difficulty: Difficulty = PLAIN

  def as_json(self) -> dict:
    """Returns the fields; newer ones only if they differ from their defaults.

    So SIMULATED.json is the same as one that was written before these fields existed.
    """
    fields = json.loads(json.dumps(dataclasses.asdict(self)))
    return {k: v for k, v in fields.items() if _LATER.get(k) != v}


# Newer fields of SIMULATED.json.
_LATER = {
  "only": "all",
  "still": False,
  "difficulty": json.loads(json.dumps(dataclasses.asdict(PLAIN))),
}


def simulate(
  root: Path, parameters: Parameters, workers: int | None = None
) -> dict[str, list[PlannedClip]]:
  """Writes the databases below `root`, or what is missing of them.

  Args:
    root: folder for the databases.
    parameters: of the simulation.
    workers: how many processes film clips; by default one for each core.

  Returns:
    {database: its planned clips}.

  Raises:
    UserError: `root` holds something else or a simulation with other parameters,
      another run is writing there, or it cannot be written.
  """
  plan = {key: _plan(key, parameters) for key in parameters.databases}
  if is_finished(root, parameters.as_json()):
    return plan
  try:
    with lock(root):
      # Another run may have begun, or even ended, since the first look.
      if not is_finished(root, parameters.as_json()):
        _write(root, plan, parameters, workers)
  except OSError as error:
    raise UserError(
      f"{error.filename or root}: cannot be written ({error.strerror}); make room or"
      " choose another --out, then run it again: finished clips are kept"
    ) from error
  return plan


def _plan(key: str, parameters: Parameters) -> list[PlannedClip]:
  # An annotated apex that is off is no nuisance of the three kinds.
  missed = parameters.nuisance if parameters.only == "all" else 0.0
  clips = plan_database(
    key,
    parameters.scale,
    parameters.seed,
    parameters.labels,
    missed,
    parameters.difficulty,
  )
  return [at_rest(clip) for clip in clips] if parameters.still else clips


def is_finished(root: Path, parameters: dict) -> bool:
  """Whether `root` is finished.

  Args:
    root: what `simulate` writes to.
    parameters: as SIMULATED.json holds them.

  Raises:
    UserError: `root` is not this simulation's.
  """
  wanted = _LATER | parameters
  for name in (SIMULATED, UNFINISHED):
    path = root / name
    if not path.exists():
      continue
    try:
      found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
      raise UserError(
        f"{path}: not readable as JSON ({error}); delete {root} and simulate again"
      ) from error
    found = _LATER | found
    other = [
      f"{field} {found.get(field)!r}, now {value!r}"
      for field, value in wanted.items()
      if found.get(field) != value
    ]
    if other:
      raise UserError(
        f"{path}: simulated with other parameters ({'; '.join(other)}); give the same"
        " ones, delete the folder, or choose another --out"
      )
    return name == SIMULATED
  if root.exists() and not (
    root.is_dir() and all(path.name == ".lock" for path in root.iterdir())
  ):
    raise UserError(
      f"{root}: exists and was not written by simulate (no {SIMULATED}); choose an"
      " empty or new folder as --out"
    )
  return False


def _write(root: Path, plan, parameters: Parameters, workers: int | None) -> None:
  """Writes the clips that are missing, then the workbooks."""
  text = json.dumps(parameters.as_json(), indent=1) + "\n"
  (root / UNFINISHED).write_text(text, encoding="utf-8")
  _write_clips(root, plan, parameters, workers)
  for key, clips in plan.items():
    path = root / LAYOUTS[key].folders[0] / LAYOUTS[key].workbooks[0]
    path.write_bytes(workbook_bytes(clips, LAYOUTS[key]))
    # In each database too, so that it is known as simulated if it is moved elsewhere.
    (path.parent / SIMULATED).write_text(text, encoding="utf-8")
  os.replace(root / UNFINISHED, root / SIMULATED)


def _write_clips(root, plan, parameters: Parameters, workers: int | None) -> None:
  """Writes every clip that is not finished, a few clips of one subject per job."""
  clips = [
    clip
    for clips in plan.values()
    for clip in clips
    if not truth_path(root, clip).exists()
  ]
  groups = []
  for _, group in itertools.groupby(clips, lambda clip: (clip.database, clip.number)):
    group = list(group)
    groups += [group[i : i + AT_ONCE] for i in range(0, len(group), AT_ONCE)]
  workers = workers or _cores()
  jobs = [(root, group, parameters) for group in groups]
  with tqdm(total=len(clips), desc="simulate", unit="clip", smoothing=0.05) as bar:
    if workers == 1 or len(jobs) < 2:
      for job in jobs:
        for _ in write_subject(*job):
          bar.update()
      return
    # New processes: a fork of one that runs JAX's threads could hang.
    context = multiprocessing.get_context("spawn")
    before = set(multiprocessing.active_children())
    release_signals = _hold_signals()
    pool = concurrent.futures.ProcessPoolExecutor(workers, context, _obey_parent)
    try:
      futures = [pool.submit(_count_written, *job) for job in jobs]
      release_signals()
      for future in concurrent.futures.as_completed(futures):
        bar.update(future.result())
    except BaseException:
      # Unfinished clips are not waited for: the next run writes them.
      for worker in set(multiprocessing.active_children()) - before:
        worker.terminate()
      raise
    finally:
      pool.shutdown(cancel_futures=True)


def _hold_signals() -> Callable[[], None]:
  """Delays Ctrl-C and SIGTERM until the function that is returned is called.

  A pool that is interrupted while it starts leaves semaphores and workers behind.
  """
  came = []
  before = {
    number: signal.signal(number, lambda number, _: came.append(number))
    for number in (signal.SIGINT, signal.SIGTERM)
  }

  def release() -> None:
    for number, handler in before.items():
      signal.signal(number, handler)
    if came:
      raise KeyboardInterrupt

  return release


def _cores() -> int:
  """Counts the cores that this process may use, perhaps fewer than the machine has."""
  if hasattr(os, "sched_getaffinity"):
    return len(os.sched_getaffinity(0))
  return os.cpu_count() or 1


def _obey_parent() -> None:
  """Makes a worker end when its parent ends it or has ended, and ignore Ctrl-C."""
  signal.signal(signal.SIGINT, signal.SIG_IGN)
  threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
  multiprocessing.parent_process().join()
  os._exit(1)


def _count_written(*job) -> int:
  return sum(1 for _ in write_subject(*job))


def write_subject(
  root: Path, clips: list[PlannedClip], parameters: Parameters
) -> Iterator[PlannedClip]:
  """Films the clips of one subject and yields each when it is on disk."""
  cv2.setNumThreads(1)  # The processes share the cores already.
  studio = Studio(clips[0].database, clips[0].number, parameters.seed)
  for clip in clips:
    film = Film(clip, studio, parameters.nuisance, parameters.only)
    layout = LAYOUTS[clip.database]
    release = layout.releases[0]
    folder = root / layout.folders[0]
    folder /= release.clip_folder(clip.number, clip.filename, clip.onset, clip.emotion)
    folder.mkdir(parents=True, exist_ok=True)
    for frame in _kept(clip, parameters):
      quality = [cv2.IMWRITE_JPEG_QUALITY, film.nuisance.quality]
      _, data = cv2.imencode(".jpg", film.frame(frame), quality)
      name = release.frame_name(clip.number, clip.filename, frame)
      (folder / name).write_bytes(data)
    onset = folder / release.frame_name(clip.number, clip.filename, clip.onset)
    _write_truth(truth_path(root, clip), film, onset.relative_to(root))
    yield clip


def _kept(clip: PlannedClip, parameters: Parameters) -> list[int]:
  """The frame numbers of a clip that are written."""
  if parameters.frames == "all":
    return list(range(clip.onset, clip.offset + 1))
  step = max(1, round(clip.fps / DENSEST))
  reach = window_reach(clip.fps) // step
  window = {clip.apex + step * k for k in range(-reach, reach + 1)}
  kept = {f for f in window if clip.onset <= f <= clip.offset}
  return sorted(kept | {clip.onset, clip.offset})


def truth_path(root: Path, clip: PlannedClip) -> Path:
  """Returns the path of a clip's truth, which only evaluation may read."""
  return root / "truth" / clip.database / f"{clip.truth_name}.npz"


def _write_truth(path: Path, film: Film, onset: Path) -> None:
  """Writes the film's truth, with the onset's file, as a path below the root."""
  truth = dataclasses.asdict(film.truth()) | {"onset": onset.as_posix()}
  path.parent.mkdir(parents=True, exist_ok=True)
  temporary = path.with_suffix(f".{os.getpid()}.tmp")
  with open(temporary, "wb") as stream:
    np.savez_compressed(stream, **truth)
  os.replace(temporary, path)
