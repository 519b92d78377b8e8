"""Reads and writes predictions as CSV, so that any team's are scored by the same code.

There is one row per clip and run, with the columns database, subject, clip, fold, seed,
logit_AU1 ... logit_AU17, label_AU1 ... label_AU17 and data, which is "simulated" or
"licensed". The columns may come in any order. A file may lack the column data; whoever
reads it must then declare which of the two its clips are.
"""

import csv
import io
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from infusenet_jax.clips.labels import AUS, DATABASES, NAME_RULE, is_database
from infusenet_jax.runtime.errors import UserError
from infusenet_jax.runtime.files import write_atomically
from infusenet_jax.runtime.text import csv_text, plain_text

TEXT = ("database", "subject", "clip", "fold")
LOGITS = tuple(f"logit_AU{au}" for au in AUS)
LABELS = tuple(f"label_AU{au}" for au in AUS)
COLUMNS = (*TEXT, "seed", *LOGITS, *LABELS)
DATA = ("simulated", "licensed")
ARRAYS = (*TEXT, "seed", "logits", "labels")


@dataclass(frozen=True)
class Predictions:
  """A model's logits for each clip, in any order, from any number of runs.

  database, subject, clip, fold: (N,) str.
  seed: (N,) int, a different one for each run.
  logits: (N, 12) float, in the order of `AUS`.
  labels: (N, 12) uint8, likewise.
  simulated: whether any of the clips is simulated; all that is derived from the
    predictions then says so.
  declared: whether a file did not tell that, so that the user declared it.
  """

  database: np.ndarray
  subject: np.ndarray
  clip: np.ndarray
  fold: np.ndarray
  seed: np.ndarray
  logits: np.ndarray
  labels: np.ndarray
  simulated: bool = False
  declared: bool = False

  def __post_init__(self):
    count = len(self.database)
    for name in ("subject", "clip", "fold", "seed"):
      if np.shape(getattr(self, name)) != (count,):
        raise ValueError(
          f"{name} is {np.shape(getattr(self, name))}; expected ({count},)"
        )
    for name in ("logits", "labels"):
      if np.shape(getattr(self, name)) != (count, len(AUS)):
        raise ValueError(
          f"{name} is {np.shape(getattr(self, name))}; expected ({count}, {len(AUS)})"
        )

  def __len__(self) -> int:
    return len(self.database)

  def __getitem__(self, which) -> "Predictions":
    """Returns the rows chosen by an index array, a slice or an (N,) bool mask."""
    return replace(self, **{name: getattr(self, name)[which] for name in ARRAYS})


def concatenate(parts: Sequence[Predictions]) -> Predictions:
  """Joins the predictions of several folds or runs, in their order."""
  columns = {n: np.concatenate([getattr(part, n) for part in parts]) for n in ARRAYS}
  kinds = {n: any(getattr(p, n) for p in parts) for n in ("simulated", "declared")}
  return Predictions(**columns, **kinds)


def write_predictions(path: str | os.PathLike, predictions: Predictions) -> None:
  """Writes predictions as CSV, all or nothing.

  Raises:
    UserError: a logit is not finite, which means that training diverged, or the file
      cannot be written.
  """
  path = Path(path)
  bad = ~np.isfinite(predictions.logits).all(axis=1)
  if bad.any():
    row = int(np.argmax(bad))
    raise UserError(
      f"{path}: the logits of {bad.sum()} of {len(bad)} clips are not finite (first: "
      f"fold {predictions.fold[row]}, clip {predictions.clip[row]}); training "
      "diverged, lower the learning rate"
    )
  path.parent.mkdir(parents=True, exist_ok=True)
  file = io.StringIO(newline="")
  writer = csv.writer(file)
  writer.writerow([*COLUMNS, "data"])
  for i in range(len(predictions)):
    writer.writerow(
      [
        *(csv_text(str(getattr(predictions, name)[i])) for name in TEXT),
        int(predictions.seed[i]),
        *(str(value) for value in predictions.logits[i]),
        *(int(value) for value in predictions.labels[i]),
        DATA[0] if predictions.simulated else DATA[1],
      ]
    )
  write_atomically(path, file.getvalue())


def read_predictions(
  paths: Sequence[str | os.PathLike], data: str | None = None
) -> Predictions:
  """Reads the predictions of one or more CSV files, in the files' order.

  Args:
    paths: of the files.
    data: one of `DATA`: what the clips are in files that have no column data.

  Raises:
    UserError: no files, a missing, empty or unreadable file, a missing column, or a
      value that does not fit its column; the message names file and line.
  """
  if not paths:
    raise UserError(
      "no predictions.csv was found; expected at least one: train a fold first, or "
      "name other files"
    )
  rows = [row for path in paths for row in _rows(Path(path), data)]
  return Predictions(
    **{name: np.array([row[name] for row in rows]) for name in TEXT},
    seed=np.array([row["seed"] for row in rows]),
    logits=np.array([[row[name] for name in LOGITS] for row in rows]),
    labels=np.array([[row[name] for name in LABELS] for row in rows], np.uint8),
    simulated=any(row["data"] == "simulated" for row in rows),
    declared=any(row["declared"] for row in rows),
  )


def _rows(path: Path, data: str | None) -> list[dict]:
  rows = []
  try:
    with open(path, newline="", encoding="utf-8-sig") as file:
      reader = csv.DictReader(file, strict=True)
      missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
      if missing:
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        raise UserError(
          f"{path}: line 1 lacks the column {', '.join(missing[:3])}{more}; expected a "
          f"comma-separated header with {', '.join(COLUMNS[:6])}, ... {COLUMNS[-1]}"
        )
      for row in reader:
        place = f"{path}, line {reader.line_num}"
        rows.append(_parsed(row, place) | _kind(row, place, data))
  except OSError as error:
    raise UserError(f"{path}: cannot be read ({error.strerror})") from error
  except (UnicodeDecodeError, csv.Error) as error:
    raise UserError(f"{path}: is not a CSV file in UTF-8 ({error})") from error
  if not rows:
    raise UserError(f"{path}: holds no predictions; expected one line per clip")
  return rows


def _parsed(row: dict, place: str) -> dict:
  if None in row or None in row.values():
    raise UserError(f"{place}: has more or fewer values than the header has columns")
  for name in TEXT:
    if not row[name]:
      raise UserError(f"{place}: {name} is empty")
  if not is_database(row["database"]):
    raise UserError(
      f"{place}: database is {row['database']!r}; expected one of "
      f"{', '.join(DATABASES)}, or {NAME_RULE}"
    )
  parsed = {name: plain_text(row[name]) for name in TEXT}
  try:
    parsed["seed"] = int(row["seed"])
  except ValueError:
    raise UserError(
      f"{place}: seed is {row['seed']!r}; expected a whole number"
    ) from None
  for name in LOGITS:
    try:
      parsed[name] = float(row[name])
    except ValueError:
      parsed[name] = math.nan
    if not math.isfinite(parsed[name]):
      raise UserError(f"{place}: {name} is {row[name]!r}; expected a finite number")
  for name in LABELS:
    if row[name] not in ("0", "1"):
      raise UserError(f"{place}: {name} is {row[name]!r}; expected 0 or 1")
    parsed[name] = int(row[name])
  return parsed


def _kind(row: dict, place: str, declared: str | None) -> dict:
  """Finds out whether a row's clip is simulated, and whether that was only declared."""
  said = row.get("data") or ""
  if said in DATA:
    return {"data": said, "declared": False}
  if said:
    raise UserError(f"{place}: data is {said!r}; expected {' or '.join(DATA)}")
  if declared is None:
    raise UserError(
      f"{place}: no column data says whether the clips are simulated or licensed; "
      "declare it with --data simulated or --data licensed"
    )
  return {"data": declared, "declared": True}
