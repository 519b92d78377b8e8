"""What a run's folder holds, by name. Needs no JAX, so that anything can read a run."""

from pathlib import Path

CONFIG = "config.json"
RECORDS = "records.json"
FOLDS = "folds"
PAIRS = "pairs"  # Folds that leave two databases out: thresholds are fitted on them.
AND = "+"  # Between the two, in such a fold's name.
PREDICTIONS = "predictions.csv"  # Of a fold, and of the whole run.
LOSSES = "losses.csv"  # Of a fold.
THRESHOLDS = "thresholds.csv"  # Likewise, where they were fitted.
MAPS = "maps.npz"  # Of a fold: where the network looked.
LOG = "log.txt"  # What was printed, run after run of the command.
RESULTS = "results.json"
LAST_WRITTEN = "results.md"


def fold_folder(workdir: Path, seed: int, fold: str) -> Path:
  """Where one fold of one seed keeps its checkpoints, losses and predictions."""
  folder = PAIRS if len(left_out(fold)) > 1 else FOLDS
  return workdir / folder / f"seed{seed}-{fold.replace('/', '-')}"


def left_out(fold: str) -> tuple[str, ...]:
  """What a fold leaves out, by its name: a database, a subject, or two databases.

  >>> left_out("casme+samm")
  ('casme', 'samm')
  >>> left_out("casme2/a+b")
  ('casme2/a+b',)
  """
  return (fold,) if "/" in fold else tuple(fold.split(AND))


def fold_files(workdir: Path, name: str, seed: int | None = None) -> list[Path]:
  """The files of that name in the folders of all folds, or of one seed's, sorted."""
  return sorted((workdir / FOLDS).glob(f"seed{'*' if seed is None else seed}-*/{name}"))


def results_exist(workdir: Path) -> bool:
  """Whether the run in `workdir` is finished."""
  return (workdir / LAST_WRITTEN).exists()
