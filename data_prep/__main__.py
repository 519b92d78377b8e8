"""`python -m data_prep`: check, build, inspect and simulate the databases."""

import argparse
import signal
from pathlib import Path

from infusenet_jax.clips.labels import DATABASES
from infusenet_jax.clips.schema import HEADS
from infusenet_jax.runtime.errors import UserError, exit_with_one_line

DESCRIPTION = """\
Prepares the six micro-expression databases of CD6ME for training.

With licensed databases, unpacked side by side in one folder:
  python -m data_prep check --root DATABASES
  python -m data_prep build --root DATABASES --out data
  python -m data_prep inspect --data data

With clips of your own, listed in a CSV file (docs/data.md):
  python -m data_prep build --own clips.csv --out data

Without them, the same with simulated ones:
  python -m data_prep simulate --out simulated --scale 0.1
  python -m data_prep build --root simulated --out data
"""

ROOT_HELP = """\
folder that holds the databases' folders: "CASME", "CASME II", "SAMM", "4DME", "MMEW",
"CAS(ME)^3 part A" (any case and punctuation), each with its annotation workbook and
its frames as they were handed out
"""

BUILD_EPILOG = """\
Each clip's onset, apex and window apex are aligned by the onset's eyes and cropped;
flow and strain are measured from onset to apex. Records are written for TFDS (without
TensorFlow) to OUT/<database>/1.0.0, beside them alignment.csv: where each clip's eyes
were found, and which clips deserve a look. A finished database is not built again; an
interrupted one is started over.

Example:
  python -m data_prep build --root DATABASES --out data

Exit status: 0 all clips built, 1 some clips left out or other counts than published
(they are listed), 2 a database could not be built.
"""


def main() -> int:
  """Runs the command that the arguments name and returns its exit status."""
  parser = argparse.ArgumentParser(
    prog="python -m data_prep",
    description=DESCRIPTION,
    formatter_class=argparse.RawDescriptionHelpFormatter,
  )
  commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
  for name, (add_arguments, run, help_line, epilog) in COMMANDS.items():
    command = commands.add_parser(
      name,
      help=help_line,
      description=help_line,
      epilog=epilog,
      formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_arguments(command)
    command.set_defaults(run=run)
  args = parser.parse_args()
  return args.run(args)


def _add_source(parser: argparse.ArgumentParser) -> None:
  source = parser.add_mutually_exclusive_group(required=True)
  source.add_argument("--root", type=Path, help=ROOT_HELP)
  source.add_argument(
    "--own",
    type=Path,
    metavar="CSV",
    help="clips of your own: database, subject, clip, path (a folder of frames or a"
    " video), onset, apex, offset, AUs, with these words as header; see docs/data.md",
  )
  parser.add_argument(
    "--workbook",
    action="append",
    default=[],
    metavar="KEY=FILE",
    help="annotation workbook of one database, where several could be meant",
  )
  parser.add_argument(
    "--databases",
    type=_database_keys,
    metavar="KEYS",
    help=f"only these, of {','.join(DATABASES)} (default: all that are there)",
  )
  parser.add_argument(
    "--cropped",
    action="store_true",
    help="use the releases of cropped faces, which are only resized; without it they"
    " are used where there are no full frames",
  )


def _add_build(parser: argparse.ArgumentParser) -> None:
  _add_source(parser)
  parser.add_argument("--out", type=Path, required=True, help="folder for the records")
  parser.add_argument(
    "--size", type=_size, default=224, help="side of the crops, pixels (default 224)"
  )
  parser.add_argument(
    "--faces",
    choices=("find", "none"),
    default="find",
    help="none: look for no faces, take each frame's central square (default: find)",
  )
  parser.add_argument(
    "--face-model",
    type=Path,
    metavar="ONNX",
    help="YuNet model file for OpenCV's FaceDetectorYN (default: MTCNN)",
  )
  parser.add_argument(
    "--flow",
    choices=("infusenet", "tvl1"),
    default="infusenet",
    help="tvl1: as most papers measure it, with scikit-image (default: infusenet)",
  )
  parser.add_argument(
    "--strain",
    choices=("textbook", "benchmark"),
    default="textbook",
    help="benchmark: as the CD6ME benchmark computes it, axes swapped and zeros around"
    " (default: textbook)",
  )
  parser.add_argument(
    "--flow-arrays",
    type=Path,
    metavar="DIR",
    help="take flow and strain from the benchmark's *_uv_frames_secrets_of_OF.npy below"
    " DIR; the databases need no frames then, for networks that see flow alone",
  )
  parser.add_argument(
    "--head",
    choices=HEADS,
    default=HEADS[0],
    help="removed: take the head's own motion since the onset out of flow, strain, apex"
    " and window apex (default: kept)",
  )
  parser.add_argument(
    "--offset",
    action="store_true",
    help="store the frame at the clip's offset, too, for config.model.reference=offset",
  )


def _add_inspect(parser: argparse.ArgumentParser) -> None:
  parser.add_argument("--data", type=Path, required=True, help="what build wrote")
  parser.add_argument(
    "--out", type=Path, help="the PNG to write (default: contact-sheet.png in DATA)"
  )
  parser.add_argument(
    "--clips", type=_clips, default=4, help="clips per database (default 4)"
  )


def _add_simulate(parser: argparse.ArgumentParser) -> None:
  from data_prep.simulator import command

  command.add_arguments(parser)


# The commands' modules are imported when they run: JAX and TFDS take seconds.
def _check(args: argparse.Namespace) -> int:
  from data_prep.check import check

  return check(_sources(args))


def _build(args: argparse.Namespace) -> int:
  from data_prep.build import Options, build
  from data_prep.outcomes import print_outcomes
  from infusenet_jax.runtime.devices import keep_compiled
  from infusenet_jax.runtime.text import print_lines

  options = Options(
    size=args.size,
    cropped=args.cropped,
    faces=args.faces,
    face_model=args.face_model,
    flow=args.flow,
    strain=args.strain,
    flow_arrays=args.flow_arrays,
    head=args.head,
    offset=args.offset,
  )
  opened = _sources(args)
  print_lines(opened.notes)
  keep_compiled()
  return print_outcomes(build(opened.sources, args.out, options), opened.absent)


def _sources(args: argparse.Namespace):
  from data_prep.databases.annotations.workbook import parse_workbooks
  from data_prep.sources import open_file, open_root

  if args.own:
    if args.databases or args.workbook:
      raise UserError("--own names its databases itself: no --databases, no --workbook")
    return open_file(args.own, args.cropped)
  workbooks = parse_workbooks(args.workbook, tuple(DATABASES))
  needs_frames = getattr(args, "flow_arrays", None) is None
  return open_root(args.root, args.databases, args.cropped, workbooks, needs_frames)


def _inspect(args: argparse.Namespace) -> int:
  from data_prep.inspect import inspect

  return inspect(args.data, args.out or args.data / "contact-sheet.png", args.clips)


def _simulate(args: argparse.Namespace) -> int:
  from data_prep.simulator import command

  return command.run(args)


COMMANDS = {
  "check": (
    _add_source,
    _check,
    "Say what was found, what is missing and which annotation fixes apply.",
    "Example:\n  python -m data_prep check --root DATABASES\n\n"
    "Exit status: 0 all can be built, 1 some clips cannot or the counts are not those\n"
    "published, 2 a database cannot.",
  ),
  "build": (
    _add_build,
    _build,
    "Write the records: aligned crops, optical flow, strain and labels.",
    BUILD_EPILOG,
  ),
  "inspect": (
    _add_inspect,
    _inspect,
    "Draw a contact sheet of what build wrote: frames, flow in colour, AUs.",
    "Example:\n  python -m data_prep inspect --data data --clips 6",
  ),
  "simulate": (
    _add_simulate,
    _simulate,
    "Write simulated databases in the licensees' folder layouts.",
    "Example:\n  python -m data_prep simulate --out simulated --scale 0.1",
  ),
}


def _database_keys(text: str) -> list[str]:
  keys = [key.strip() for key in text.split(",")]
  for key in keys:
    if key not in DATABASES:
      raise UserError(
        f"--databases: {key!r} is no database; choose from {', '.join(DATABASES)}"
      )
  return keys


def _size(text: str) -> int:
  if not text.isdecimal() or not 32 <= int(text) <= 1024 or int(text) % 16:
    raise UserError(
      f"--size {text}: expected a multiple of 16 from 32 to 1024, such as 112 or 224"
    )
  return int(text)


def _clips(text: str) -> int:
  if not text.isdecimal() or not 1 <= int(text) <= 100:
    raise UserError(f"--clips {text}: expected a number from 1 to 100")
  return int(text)


if __name__ == "__main__":
  # SIGTERM, by which batch systems end a job, is handled as Ctrl-C is.
  signal.signal(signal.SIGTERM, signal.default_int_handler)
  exit_with_one_line(main)
