"""What a run's folder holds, by name. Needs no JAX, so that anything can read a run."""

from pathlib import Path

CONFIG = "config.json"
RECORDS = "records.json"
FOLDS = "folds"
PREDICTIONS = "predictions.csv"  # Of a fold, and of the whole run.
LOSSES = "losses.csv"  # Of a fold.
MAPS = "maps.npz"  # Of a fold: where the network looked.
LOG = "log.txt"  # What was printed, run after run of the command.
RESULTS = "results.json"
LAST_WRITTEN = "results.md"


def fold_folder(workdir: Path, seed: int, fold: str) -> Path:
  """Where one fold of one seed keeps its checkpoints, losses and predictions."""
  return workdir / FOLDS / f"seed{seed}-{fold.replace('/', '-')}"


def fold_files(workdir: Path, name: str, seed: int | None = None) -> list[Path]:
  """The files of that name in the folders of all folds, or of one seed's, sorted."""
  return sorted((workdir / FOLDS).glob(f"seed{'*' if seed is None else seed}-*/{name}"))


def results_exist(workdir: Path) -> bool:
  """Whether the run in `workdir` is finished."""
  return (workdir / LAST_WRITTEN).exists()
