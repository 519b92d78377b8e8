"""The flags of `python -m infusenet_jax.predict`, and which of them go together."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from infusenet_jax.runtime.errors import UserError


def parse(arguments: Sequence[str] | None, about: str) -> argparse.Namespace:
  """Reads the command line; `about` stands above the flags in the help.

  Raises:
    UserError: flags that do not go together.
  """
  options = _parser(about).parse_args(arguments)
  _check(options)
  return options


def _check(options: argparse.Namespace) -> None:
  """Raises UserError for flags that do not go together."""
  if options.records:
    if options.videos:
      raise UserError("--records takes the place of videos; name one or the other")
    if not options.run:
      raise UserError("--records needs --run RUN, whose networks are to be tested")
    return
  if options.calibration_run and not options.run:
    raise UserError("--calibration-run needs --run, whose networks it calibrates")
  if options.calibration_run and options.run.is_file():
    raise UserError(
      f"--calibration-run: {options.run} holds packed weights, which are calibrated"
      " already; leave the flag out"
    )
  if not options.videos:
    raise UserError("no video is named; give a video, a folder of frames, or --records")
  if (options.onset is None) != (options.apex is None):
    raise UserError("--onset and --apex are given both or not at all")
  if options.offset is not None and options.onset is None:
    raise UserError("--offset needs --onset and --apex")
  if options.intervals and options.onset is not None:
    raise UserError("--intervals takes the place of --onset and --apex")
  if options.video and not options.pictures:
    raise UserError("--video shows faces, which --no-pictures leaves out; take one")
  if options.face < 0:
    raise UserError(f"--face {options.face}: expected 0 for the largest face, 1, ...")
  if not 1 < options.amp <= 100:
    raise UserError(f"--amp {options.amp:g}: expected a factor above 1 and up to 100")


def _parser(about: str) -> argparse.ArgumentParser:
  parser = argparse.ArgumentParser(
    prog="python -m infusenet_jax.predict",
    description=about,
    formatter_class=argparse.RawDescriptionHelpFormatter,
  )
  add = parser.add_argument
  add(
    "videos",
    nargs="*",
    type=Path,
    metavar="VIDEO_OR_FOLDER",
    help="video files, folders of frames, or folders that hold those",
  )
  add(
    "--run",
    type=Path,
    help="a finished run's folder, or a file of packed weights (default: those that"
    " ship)",
  )
  add(
    "--calibration-run",
    type=Path,
    metavar="RUN",
    help="run that calibrates --run where that left nothing out (config.protocol=all):"
    " the same network with folds left out",
  )
  add(
    "--out",
    type=Path,
    metavar="DIR",
    help="for the outputs (default: predictions, with a folder per video)",
  )
  add("--fps", type=float, help="frames a second; of a video it overrides time stamps")
  add(
    "--face",
    type=int,
    default=0,
    metavar="N",
    help="which face where there are several: 0 is the largest (default)",
  )
  add("--onset", type=int, metavar="FRAME", help="number of a known onset frame")
  add("--apex", type=int, metavar="FRAME", help="of its apex")
  add("--offset", type=int, metavar="FRAME", help="of its end (default: the apex)")
  add("--intervals", type=Path, metavar="CSV",
      help="known intervals: an intervals.csv that a person corrected, any table with"
      " the columns onset, apex, offset, or an export of ELAN's")  # fmt: skip
  add("--amp", type=float, default=10.0,
      help="how many times pictures magnify motion (default: 10)")  # fmt: skip
  add("--video", action="store_true",
      help="also write report.mp4: the video with its intervals marked")  # fmt: skip
  add("--no-pictures", dest="pictures", action="store_false",
      help="leave faces out of everything that is written")  # fmt: skip
  add(
    "--records",
    type=Path,
    help="test --run on the records that `python -m data_prep build` wrote",
  )
  return parser
