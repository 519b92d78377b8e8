"""Finds brief facial expressions in videos and says which action units they show.

    python -m infusenet_jax.predict VIDEO_OR_FOLDER...
    python -m infusenet_jax.predict VIDEO... --run runs/cd6me
    python -m infusenet_jax.predict FRAMES_FOLDER --fps 200 --onset 5562 --apex 5588
    python -m infusenet_jax.predict VIDEO --intervals corrected.csv
    python -m infusenet_jax.predict --records RECORDS --run RUN

Writes intervals.csv, frames.csv, report.json, report.html and intervals.elan.txt
(docs/outputs.md says what every column means) to --out; of several videos each gets a
folder in it, and intervals.csv and summary.json beside these folders hold what was
found in all of them.
A video that is finished is not looked at again when the same command is given again.
Nothing leaves this computer.

Exit status: 0 all videos were looked at, 1 some could not be, 2 none could be.
"""

import argparse
import csv
import io
import json
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import absl.logging
import numpy as np
from tqdm import tqdm

from infusenet_jax import __version__
from infusenet_jax.clips.labels import AU_NAMES, AUS
from infusenet_jax.predict.analysis import Settings, report_on
from infusenet_jax.predict.elan import Timed
from infusenet_jax.predict.findings import SIMULATED_WEIGHTS, Interval, Report
from infusenet_jax.predict.given import Given, IntervalsFile, read_intervals
from infusenet_jax.predict.jobs import Job, find_jobs
from infusenet_jax.predict.options import parse
from infusenet_jax.predict.other_records import predict_records
from infusenet_jax.predict.show import outputs
from infusenet_jax.predict.show.movie import write_movie
from infusenet_jax.predict.watch.video import Footage, open_footage
from infusenet_jax.predict.weights import networks as trained
from infusenet_jax.runtime.devices import keep_compiled, keep_freed_memory
from infusenet_jax.runtime.errors import UserError
from infusenet_jax.runtime.files import lock, write_atomically
from infusenet_jax.runtime.preemption import Signals, catch_signals
from infusenet_jax.runtime.run_files import CONFIG, LAST_WRITTEN
from infusenet_jax.runtime.text import duration, one_line, print_lines, text_table

SUMMARY = "summary.json"


@dataclass(frozen=True)
class Outcome:
  """What became of one video.

  state: how long it took, "kept", or "failed".
  content: of its report.json; empty where it failed.
  """

  job: Job
  state: str
  content: dict[str, Any]

  def row(self) -> list:
    """Its line of the summary."""
    if not self.content:
      return [self.job.name, *"-----", self.state]
    frames = self.content["frames"]
    success = frames["success"]
    return [
      self.job.name,
      len(success),
      f"{frames['timestamp'][-1]:.1f}",
      f"{100 * sum(success) / len(success):.0f} %",
      len(self.content["intervals"]),
      len(self.content["blinks"]),
      self.state,
    ]


class Prediction:
  """What one command asks of every video."""

  def __init__(
    self, options: argparse.Namespace, networks: trained.Networks, alone: bool
  ):
    self.options, self.networks, self.alone = options, networks, alone
    self.table: IntervalsFile | None = None
    if options.intervals:
      self.table = read_intervals(options.intervals)
    self.settings = Settings(options.fps, options.face, options.amp, options.pictures)

  def given(self, job: Job) -> list[Given | Timed] | None:
    """The intervals that a person gave for a video, None where there are none."""
    options = self.options
    if self.table:
      return self.table.of(job.name, alone=self.alone)
    if options.onset is None:
      return None
    offset = options.apex if options.offset is None else options.offset
    return [Given(options.onset, options.apex, offset, "--onset, --apex, --offset")]

  def identity(self, job: Job) -> dict[str, Any]:
    """What a video's outputs depend on; where it is the same they are kept."""
    options = self.options
    return {
      "version": __version__,
      "schema": outputs.SCHEMA,
      "video": job.fingerprint(),
      "model": json.loads(json.dumps(self.networks.card, default=str)),
      "run": _run_fingerprint(options.run) + _run_fingerprint(options.calibration_run),
      "fps": options.fps,
      "face": options.face,
      "amp": options.amp,
      "pictures": options.pictures,
      "movie": options.video,
      "given": [options.onset, options.apex, options.offset],
      "intervals": self.table.digest if self.table else None,
    }

  def kept(self, job: Job) -> dict[str, Any] | None:
    """The report.json of a video that is finished already, by the same settings."""
    content = outputs.finished_report(job.out)
    if content is None:
      return None
    return content if content.get("identity") == self.identity(job) else None

  def look_at(self, job: Job, signals: Signals) -> Report:
    """Looks at one video and writes what was found.

    Raises:
      UserError: it cannot be read, or its outputs cannot be written.
    """
    outputs.check_unchanged(job.out)
    footage = open_footage(job.path, self.options.fps)
    report = report_on(
      footage,
      self.networks,
      self.given(job),
      self.settings,
      progress=True,
      stopped=lambda: bool(signals.received),
    )
    outputs.make_folder(job.out)
    if self.options.video:
      self._write_movie(job, footage, report)
    extra = {"identity": self.identity(job)}
    outputs.save(report, job.out, extra=extra, finished=not signals.received)
    return report

  def _write_movie(self, job: Job, footage: Footage, report: Report) -> None:
    amp = self.options.amp

    def magnify(onset: np.ndarray, frame: np.ndarray) -> np.ndarray:
      return self.networks.magnified(onset[None], frame[None], amp)[0]

    frames = tqdm(
      footage.read(report.frames.number.tolist()),
      total=len(report.frames),
      desc="writing the video",
      unit="frame",
      delay=3,
      leave=False,
    )
    write_movie(job.out / outputs.MOVIE, report, frames, magnify, amp=amp)


def _run_fingerprint(run: Path | None) -> list[int]:
  """Changes where a run is trained again in its folder."""
  if run is None:
    return []
  files = [run, *(run / name for name in (CONFIG, LAST_WRITTEN))]
  stats = [file.stat() for file in files if file.is_file()]
  return [value for stat in stats for value in (stat.st_size, stat.st_mtime_ns)]


def predict(options: argparse.Namespace) -> int:
  """Looks at all videos and returns the exit status."""
  jobs, top = find_jobs(options.videos, options.out)
  alone = len(jobs) == 1 and jobs[0].out == top
  if alone:
    open_footage(jobs[0].path, options.fps)  # Complains before networks are loaded.
  elif options.onset is not None:
    raise UserError("--onset and --apex belong to one video; list more in --intervals")
  if options.intervals and options.intervals.resolve() in (
    (folder / outputs.INTERVALS).resolve() for folder in (top, *(j.out for j in jobs))
  ):
    raise UserError(
      f"--intervals {options.intervals}: would be written over; name another --out"
    )
  outputs.check_unchanged(top, SUMMARY)
  outcomes = []
  with lock(top), catch_signals() as signals:
    networks = _networks(options)
    prediction = Prediction(options, networks, alone)
    for job in jobs:
      if signals.received:
        break
      outcomes.append(_outcome(prediction, job, signals))
    if not alone:
      _write_summary(top, outcomes)
      _print_summary(outcomes)
    print(f"Written to {top}: {outputs.PAGE if alone else outputs.INTERVALS}, ...")
    if networks.card.get("simulated"):
      print(SIMULATED_WEIGHTS)
    if signals.received:
      signals.stop(top)
  failed = sum(not outcome.content for outcome in outcomes)
  return 0 if not failed else 2 if failed == len(outcomes) else 1


def _networks(options: argparse.Namespace) -> trained.Networks:
  if options.run is None:
    return trained.shipped()
  return trained.load_run(options.run, calibrated_by=options.calibration_run)


def _outcome(prediction: Prediction, job: Job, signals: Signals) -> Outcome:
  start, alone = time.monotonic(), prediction.alone
  try:
    if content := prediction.kept(job):
      if alone:
        print(f"{job.name}: looked at before with the same settings, kept as it is")
      return Outcome(job, "kept", content)
    report = prediction.look_at(job, signals)
  except Exception as error:
    if alone:
      raise
    # Whatever is wrong with one of hundreds of videos, the others are looked at.
    reason = one_line(error)
    kind = "" if isinstance(error, UserError) else f"{type(error).__name__}: "
    print_lines([f"error: {job.path}: {kind}{reason.removeprefix(f'{job.path}: ')}"])
    return Outcome(job, "failed", {})
  if alone:
    _print_report(report)
  return Outcome(job, duration(time.monotonic() - start), outputs.as_json(report))


def _print_report(report: Report) -> None:
  """What was found in one video, in words."""
  # What the command ends with, for one video as for many, is not said here.
  print_lines([note for note in report.notes if note != SIMULATED_WEIGHTS])
  rows = [["onset s", "apex s", "offset s", "frames", "motion", "action units"]]
  for interval in report.intervals:
    rows.append(
      [
        f"{interval.onset_seconds:.2f}",
        f"{interval.apex_seconds:.2f}",
        f"{interval.offset_seconds:.2f}",
        f"{interval.onset}-{interval.apex}-{interval.offset}",
        f"{interval.motion_px:.2f} px" if interval.motion_px >= 0 else "-",
        _in_words(interval),
      ]
    )
  if report.intervals:
    print(text_table(rows, underlined=True))
  blinks = len(report.blinks)
  blinks = f", {blinks} blink{'s' * (blinks != 1)}" if blinks else ""
  count = len(report.intervals)
  print(f"{report.source}: {count} interval{'s' * (count != 1)}{blinks}")


def _in_words(interval: Interval) -> str:
  if not np.isfinite(interval.probability).any():
    return "none: " + "; ".join(interval.notes)
  shown = [
    f"AU{au:02d} {AU_NAMES[au]} {p:.2f}"
    for au, p, yes in zip(AUS, interval.probability, interval.decision, strict=True)
    if yes
  ]
  return ", ".join(shown) or "none"


def _print_summary(outcomes: Sequence[Outcome]) -> None:
  header = ["video", "frames", "seconds", "with face", "intervals", "blinks", ""]
  print(text_table([header, *(o.row() for o in outcomes)], underlined=True))


def _write_summary(top: Path, outcomes: Sequence[Outcome]) -> None:
  """Writes one table of the intervals of all videos, and what became of each."""
  rows = []
  for outcome in outcomes:
    if outcome.content:
      text = (outcome.job.out / outputs.INTERVALS).read_text("utf-8-sig")
      rows += list(csv.reader(io.StringIO(text, newline="")))[1:]
  outputs.check_unchanged(top, SUMMARY)
  digest = outputs.write_csv(top / outputs.INTERVALS, outputs.INTERVAL_COLUMNS, rows)
  videos = [
    {"path": str(o.job.path), "folder": o.job.out.name, "state": o.state}
    for o in outcomes
  ]
  content = {"intervals_csv": digest, "videos": videos}
  write_atomically(top / SUMMARY, json.dumps(content, indent=2) + "\n")


def main(arguments: Sequence[str] | None = None) -> int | None:
  """The command; `python -m infusenet_jax.predict --help` explains it."""
  options = parse(arguments, __doc__)
  absl.logging.set_verbosity(absl.logging.FATAL)
  logging.basicConfig(
    level=logging.WARNING, format="%(asctime)s %(message)s", datefmt="%H:%M:%S"
  )
  keep_freed_memory()
  keep_compiled()
  if options.records:
    out = options.out or Path("predictions") / options.records.resolve().name
    print(predict_records(options.run, options.records, out), end="")
    return 0
  return predict(options)
