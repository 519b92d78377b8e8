"""Measures on simulated faces what magnification artefacts do to trained networks.

    python -m infusenet_jax.artefacts --workdirs runs/quickstart runs/other --out DIR

The runs must have been trained on the same simulated databases. These are simulated
again, with the same clips and faces. Nuisance is what changes although no muscle moves:
light, motion of the head, and noise. Four test sets have all of it at the strengths 0,
1 (as in training), 2 and 3. Nine show faces at rest: one without nuisance, the others
with all of it or one kind alone, at the strengths 1 and 2. Each fold's model is tested
on the database that it was not trained on. Measured are:

* pointing: how much of what the model looks at lies where the face truly moved;
* artefact response: false alarms where nothing but light, head or noise changed;
* robustness: F1 against the strength of nuisance.

The command writes artefacts.json, .csv and .md and three figures. Measurements are kept
in DIR/parts: a study that was stopped goes on from there.
"""

import argparse
import csv
import hashlib
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import absl.logging
import numpy as np

from infusenet_jax.artefacts.plots import draw_figures
from infusenet_jax.artefacts.runs import Look, Run
from infusenet_jax.artefacts.scores import Part, summarise
from infusenet_jax.artefacts.tables import write_study
from infusenet_jax.artefacts.truth import read_truth
from infusenet_jax.clips.prepared import records_identity
from infusenet_jax.clips.records import Clips, load_clips
from infusenet_jax.clips.schema import UNSAID
from infusenet_jax.evaluate.predictions import read_predictions, write_predictions
from infusenet_jax.models.magnified_input import BOTH_ENDS
from infusenet_jax.runtime.devices import keep_compiled, keep_freed_memory
from infusenet_jax.runtime.errors import UserError
from infusenet_jax.runtime.files import write_atomically
from infusenet_jax.runtime.workdir import versions
from infusenet_jax.training.simulated import simulated_records

_log = logging.getLogger(__name__)

STRENGTHS = (0, 1, 2, 3)  # Off, normal, strong, and stronger than a laboratory allows.
KINDS = ("all", "lighting", "motion", "noise")


class StudySet(NamedTuple):
  """A test set: its name, flags of `data_prep simulate`, and if faces are at rest."""

  name: str
  flags: tuple[str, ...]
  still: bool


SETS = (
  *(StudySet(f"nuisance-{n}", (f"--nuisance={n}",), False) for n in STRENGTHS),
  StudySet("still-none", ("--still", "--nuisance=0"), True),
  *(
    StudySet(f"still-{k}-{n}", ("--still", f"--only={k}", f"--nuisance={n}"), True)
    for n in (1, 2)
    for k in KINDS
  ),
)


def study(
  workdirs: Sequence[Path], sets: Path | None, out: Path, scale: float | None = None
) -> None:
  """Measures all runs on all sets and writes tables and figures to `out`.

  Args:
    workdirs: of finished runs, all trained on the same simulation.
    sets: folder for the thirteen test sets; `out`/sets if None. At the training set's
      scale each of them takes as much room as the training set.
    out: folder of the study.
    scale: of the test sets; the training set's if None. A smaller one saves time, with
      fewer clips and wider intervals.

  Raises:
    UserError: a run is unfinished or unsuitable, or a folder cannot be used.
  """
  runs = [Run(workdir) for workdir in workdirs]
  _check_names(runs)
  source = _same_source(runs)
  if any(run.config.model.get("reference") in BOTH_ENDS for run in runs):
    source["offset"] = True
  if scale is not None:
    source["scale"] = scale
  sets = sets or out / "sets"
  parts = {}
  for wanted in SETS:
    records = make_set(sets, wanted, source)
    measure_set(runs, wanted, records, out / "parts", parts)
  results = summarise(parts, [run.name for run in runs])
  about = {"source": source, "workdirs": list(map(str, workdirs))}
  print(write_study(out, results, about | {"versions": versions()}), end="")
  draw_figures(out, results)
  print(f"\nWritten to {out}: artefacts.json, artefacts.csv, artefacts.md,")
  print("pointing.png, false_alarms.png, robustness.png")


def make_set(sets: Path, wanted: StudySet, source: dict) -> Path:
  """Makes the records of one test set, unless they are there; returns their folder."""
  return simulated_records(
    sets / wanted.name,
    source["size"],
    f"--scale={source['scale']}",
    f"--seed={source['seed']}",
    f"--labels={source['labels']}",
    *source.get("difficulty", ()),
    *wanted.flags,
    head=source.get("head", UNSAID["head"]),
    offset=source.get("offset", UNSAID["offset"]),
  )


def measure_set(
  runs: Sequence[Run],
  wanted: StudySet,
  records: Path,
  folder: Path,
  parts: dict[tuple[str, str], Part],
) -> None:
  """Adds each run's measurements on one set to `parts`, from disk if they are kept."""
  loaded: dict[int, tuple[Clips, np.ndarray | None]] = {}
  identity = repr(records_identity(records))
  for run in runs:
    digest = hashlib.sha256((run.digest + identity).encode()).hexdigest()[:8]
    path = folder / run.name / f"{wanted.name}-{digest}.csv"
    looks_path = path.with_name(f"{path.stem}-looks.csv")
    if not path.exists():  # The predictions are written last.
      size = run.config.image_size
      if size not in loaded:
        clips = load_clips(records, size)
        loaded[size] = clips, None if wanted.still else read_truth(records, clips)
      _log.info("measuring %s on %s", run.name, wanted.name)
      predictions, looks = run.measure(*loaded[size])
      path.parent.mkdir(parents=True, exist_ok=True)
      if not wanted.still:
        write_atomically(looks_path, _looks_text(looks))
      write_predictions(path, predictions)
    looks = [] if wanted.still else _read_looks(looks_path)
    parts[run.name, wanted.name] = Part(read_predictions([path]), looks)


def _looks_text(looks: Sequence[Look]) -> str:
  evidence = list(looks[0].shares) if looks else []
  lines = [",".join([*Look._fields[:-1], *evidence])]
  for look in looks:
    shares = [f"{look.shares[name]:.5f}" for name in evidence]
    lines.append(",".join([*map(str, look[:-1]), *shares]))
  return "\n".join(lines) + "\n"


def _read_looks(path: Path) -> list[Look]:
  with open(path, newline="", encoding="utf-8") as file:
    rows = list(csv.DictReader(file))
  evidence = [name for name in (rows[0] if rows else ()) if name not in Look._fields]
  return [
    Look(
      **{name: row[name] for name in ("database", "subject", "clip")},
      seed=int(row["seed"]),
      au=int(row["au"]),
      region=float(row["region"]),
      shares={name: float(row[name]) for name in evidence},
    )
    for row in rows
  ]


def _check_names(runs: Sequence[Run]) -> None:
  names = [run.name for run in runs]
  for name in names:
    if names.count(name) > 1:
      raise UserError(f"--workdirs: two are called {name}; rename one of the folders")


def _same_source(runs: Sequence[Run]) -> dict:
  source = runs[0].trained_on()
  for run in runs[1:]:
    if (other := run.trained_on()) != source:
      raise UserError(
        f"{run.workdir}: trained on another simulation ({other}) than "
        f"{runs[0].workdir} ({source}); study them apart"
      )
  return source


def main(arguments: Sequence[str] | None = None) -> None:
  """Runs the command; `python -m infusenet_jax.artefacts --help` explains it."""
  parser = argparse.ArgumentParser(
    prog="python -m infusenet_jax.artefacts",
    description=__doc__,
    formatter_class=argparse.RawDescriptionHelpFormatter,
  )
  parser.add_argument(
    "--workdirs", nargs="+", type=Path, required=True, metavar="RUN", help="of main"
  )
  parser.add_argument(
    "--sets",
    type=Path,
    metavar="DIR",
    help="for the thirteen test sets, which studies can share (default: OUT/sets)",
  )
  parser.add_argument(
    "--scale",
    type=float,
    help="of the test sets, such as 0.1 to save time (default: the training set's)",
  )
  parser.add_argument(
    "--out", type=Path, default=Path("runs/artefacts"), metavar="DIR",
    help="for tables and figures (default: runs/artefacts)",
  )  # fmt: skip
  options = parser.parse_args(arguments)
  absl.logging.set_verbosity(absl.logging.WARNING)
  logging.basicConfig(
    level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S"
  )
  keep_freed_memory()
  keep_compiled()
  try:
    study(options.workdirs, options.sets, options.out, options.scale)
  except OSError as error:
    raise UserError(
      f"{error.filename or options.out}: cannot be written or read ({error.strerror})"
    ) from error
