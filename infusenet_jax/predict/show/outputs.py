"""What a report becomes on disk: tables for people and programs, JSON, a page.

docs/outputs.md says what every column means. Text is UTF-8; a CSV file begins with the
mark that Excel needs for that only where it holds other letters than ASCII, since R's
read.csv takes the mark for a part of the first column's name.
"""

import csv
import hashlib
import io
import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from infusenet_jax.clips.labels import AU_NAMES, AUS
from infusenet_jax.predict.elan import to_elan
from infusenet_jax.predict.findings import (
  REGIONS,
  SIMULATED_WEIGHTS,
  Frames,
  Interval,
  Report,
)
from infusenet_jax.predict.show.page import render
from infusenet_jax.runtime.errors import UserError
from infusenet_jax.runtime.files import read_json, write_atomically
from infusenet_jax.runtime.text import csv_text

INTERVALS, FRAMES, ELAN = "intervals.csv", "frames.csv", "intervals.elan.txt"
JSON, PAGE, MOVIE = "report.json", "report.html", "report.mp4"
SCHEMA = 1  # Counts changes to what the columns and fields are called or mean.

INTERVAL_COLUMNS = (
  *("file", "face", "kind", "onset", "apex", "offset"),
  *("onset_seconds", "apex_seconds", "offset_seconds"),
  *(f"AU{au:02d}" for au in AUS),
  *(f"AU{au:02d}_c" for au in AUS),
  *("motion_px", "motion_percent", "notes", "weights"),
)
FRAME_COLUMNS = (
  *("frame", "timestamp", "success", "confidence"),
  *("FaceRectX", "FaceRectY", "FaceRectWidth", "FaceRectHeight"),
  *("eye_left_x", "eye_left_y", "eye_right_x", "eye_right_y"),
  *(f"motion_{region}" for region in REGIONS),
)
UNITS = {
  "onset, apex, offset, frame": "number of a frame; a video's first is 0",
  "seconds, timestamp": "seconds from the first frame",
  "AU..": "probability in [0, 1]",
  "AU.._c": "1 where the AU counts as shown, else 0",
  "motion_px": "pixels of the video",
  "motion_percent, motion_..": "% of the distance between the eyes",
  "FaceRect.., eye_..": "pixels of the video",
  "confidence": "[0, 1]",
}


def save(
  report: Report,
  folder: Path,
  *,
  extra: dict[str, Any] | None = None,
  finished: bool = True,
) -> None:
  """Writes a report's files, report.json last: where it is, the others are.

  Args:
    report: what was found.
    folder: is made where it is not there.
    extra: fields of report.json, for whoever comes back to the folder.
    finished: False where the video was not looked at to its end.

  Raises:
    UserError: the folder cannot be written, or a person changed its intervals.csv.
  """
  make_folder(folder)
  check_unchanged(folder)
  write_csv(folder / FRAMES, FRAME_COLUMNS, _frame_rows(report.frames))
  write_atomically(folder / PAGE, render(report))
  write_atomically(folder / ELAN, to_elan(report))
  rows = [_interval_cells(report, interval) for interval in report.intervals]
  digest = write_csv(folder / INTERVALS, INTERVAL_COLUMNS, rows)
  content = as_json(report) | (extra or {})
  content |= {"finished": finished, "intervals_csv": digest}
  write_atomically(folder / JSON, json.dumps(content, allow_nan=False) + "\n")


def make_folder(folder: Path) -> None:
  """Makes a folder for outputs; raises UserError where that cannot be."""
  try:
    folder.mkdir(parents=True, exist_ok=True)
  except OSError as error:
    reason = error.strerror or error
    raise UserError(
      f"--out {folder}: cannot be made ({reason}); name another"
    ) from error


def check_unchanged(folder: Path, noted: str = JSON) -> None:
  """Raises UserError where a person changed the intervals.csv that is in a folder.

  Args:
    folder: of the outputs.
    noted: the file there whose field intervals_csv says what it was.
  """
  path = folder / INTERVALS
  if not path.is_file() or not (folder / noted).is_file():
    return
  known = read_json(folder / noted, f"delete {folder}").get("intervals_csv")
  if known is not None and known != _digest(path.read_bytes()):
    raise UserError(
      f"{path}: was changed by hand and is not written over; name another --out (the"
      f" corrected intervals are read with --intervals {path}), or delete it"
    )


def finished_report(folder: Path) -> dict[str, Any] | None:
  """The report.json of a folder whose video was looked at to its end, else None."""
  if not (folder / JSON).is_file():
    return None
  try:
    content = read_json(folder / JSON, "")
  except UserError:
    return None
  return content if content.get("finished") is True else None


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Sequence]) -> str:
  """Writes a table that Excel and R open as it is; returns its digest."""
  content = _csv_bytes(columns, rows)
  write_atomically(path, content)
  return _digest(content)


def _csv_bytes(columns: Sequence[str], rows: Iterable[Sequence]) -> bytes:
  text = io.StringIO(newline="")
  writer = csv.writer(text, lineterminator="\r\n")
  writer.writerow(columns)
  writer.writerows(rows)
  content = text.getvalue()
  return content.encode("ascii" if content.isascii() else "utf-8-sig")


def _interval_cells(report: Report, interval: Interval) -> list:
  shown = np.isfinite(interval.probability)
  simulated = report.model.get("simulated")
  return [
    csv_text(report.source),
    report.face,
    interval.kind,
    *(interval.onset, interval.apex, interval.offset),
    *(f"{seconds:.6f}" for seconds in _seconds(interval)),
    *(_number(p, 4) for p in interval.probability),
    *(
      int(d) if there else "" for d, there in zip(interval.decision, shown, strict=True)
    ),
    _number(interval.motion_px, 3),
    _number(interval.motion_percent, 3),
    csv_text("; ".join(interval.notes)),
    SIMULATED_WEIGHTS if simulated else csv_text(str(report.model.get("name", ""))),
  ]


def _seconds(interval: Interval) -> tuple[float, float, float]:
  return interval.onset_seconds, interval.apex_seconds, interval.offset_seconds


def _frame_table(frames: Frames) -> dict[str, np.ndarray]:
  """The columns of frames.csv."""
  places = [*frames.box.T, *frames.eyes.reshape(len(frames), 4).T, *frames.motion.T]
  first = (frames.number, frames.seconds, frames.success, frames.confidence)
  return dict(zip(FRAME_COLUMNS, (*first, *places), strict=True))


def _frame_rows(frames: Frames) -> Iterable[list]:
  digits = [6, 3] + [2] * 8 + [4] * len(REGIONS)  # Of timestamp, confidence, and so on.
  number, seconds, success, *others = _frame_table(frames).values()
  for row in zip(number, seconds, success, *others, strict=True):
    cells = [_number(x, d) for x, d in zip((row[1], *row[3:]), digits, strict=True)]
    yield [int(row[0]), cells[0], int(row[2]), *cells[1:]]


def _number(value: float, digits: int) -> str:
  return f"{value:.{digits}f}" if math.isfinite(value) else ""


def as_json(report: Report) -> dict[str, Any]:
  """All of a report but its pictures, for report.json."""
  about = {
    "schema": SCHEMA,
    "source": report.source,
    "face": report.face,
    "notes": list(report.notes),
    "model": report.model,
    "settings": report.settings,
    "versions": report.versions,
    "units": UNITS,
    "aus": {f"AU{au:02d}": AU_NAMES[au] for au in AUS},
    "fps": report.frames.fps,
  }
  if report.model.get("simulated"):
    about = {"weights": SIMULATED_WEIGHTS} | about
  found = {
    "intervals": [_interval_fields(interval) for interval in report.intervals],
    "blinks": [_interval_fields(blink) for blink in report.blinks],
    "frames": _frame_table(report.frames),
  }
  return _plain(about | found)


def _interval_fields(interval: Interval) -> dict[str, Any]:
  names = [f"AU{au:02d}" for au in AUS]
  seconds = dict(
    zip(("onset_seconds", "apex_seconds", "offset_seconds"), _seconds(interval),
        strict=True)
  )  # fmt: skip
  return {
    "kind": interval.kind,
    "onset": interval.onset,
    "apex": interval.apex,
    "offset": interval.offset,
    **seconds,
    "probability": dict(zip(names, interval.probability, strict=True)),
    "decision": dict(zip(names, interval.decision, strict=True)),
    "motion_px": interval.motion_px,
    "motion_percent": interval.motion_percent,
    "notes": list(interval.notes),
  }


def _plain(value: Any) -> Any:
  """A value as JSON knows it: arrays as lists, what is not finite as null."""
  if isinstance(value, dict):
    return {str(name): _plain(inner) for name, inner in value.items()}
  if isinstance(value, np.ndarray):
    value = value.tolist()
  if isinstance(value, list | tuple):
    return [_plain(inner) for inner in value]
  if isinstance(value, np.generic):
    value = value.item()
  if isinstance(value, float):
    return round(value, 6) if math.isfinite(value) else None
  return value if isinstance(value, bool | int | str | None) else str(value)


def _digest(content: bytes) -> str:
  return hashlib.sha256(content).hexdigest()[:16]
