"""`python -m data_prep simulate`: flags, and the summary at the end."""

import argparse
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from data_prep.databases.find import SIMULATED
from data_prep.databases.layouts import LAYOUTS
from data_prep.simulator.camera.nuisance import KINDS
from data_prep.simulator.long.story import RATES
from data_prep.simulator.long.videos import LongParameters, simulate_long
from data_prep.simulator.plan.difficulty import PLAIN, Difficulty, Pairs
from data_prep.simulator.plan.population import DATABASES, PlannedClip, positives
from data_prep.simulator.writer import Parameters, simulate
from infusenet_jax.clips.labels import AUS
from infusenet_jax.runtime.errors import UserError
from infusenet_jax.runtime.text import text_table

# Options of pairs, and what --help says of them.
_DIFFICULTY = {
  "strength": "factor on the motion and relief of an AU, 0 to 3 (default: 1 each)",
  "doubtful": "share of an AU's coded clips that do not show it, 0 to 1 (default: 0)",
  "missed": "clips that show an AU uncoded, per coded one, 0 to 3 (default: 0)",
  "coders": "factor on both shares in a database, 0 to 3 (default: 1)",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
  """Adds the flags of `simulate`."""
  default = Parameters()
  parser.add_argument(
    "--out", type=Path, required=True, help="folder for the databases; new or empty"
  )
  parser.add_argument(
    "--scale",
    type=float,
    default=default.scale,
    help="share of the published number of clips, e.g. 0.15 for a first try"
    " (default: 1, which is 2,031 clips)",
  )
  parser.add_argument("--seed", type=int, default=default.seed, help="default: 0")
  parser.add_argument(
    "--frames",
    choices=("all", "key"),
    default=default.frames,
    help="key: only onset, apex, 50 ms about the apex and offset (default: all)",
  )
  parser.add_argument(
    "--nuisance",
    type=float,
    default=default.nuisance,
    help="strength of head motion, light changes, noise and compression; 0: none"
    " (default: 1)",
  )
  parser.add_argument(
    "--only",
    choices=("all", *KINDS),
    default=default.only,
    help="one kind of nuisance alone: lighting (brightness, direction, flicker), motion"
    " of the head, or noise (with compression) (default: all)",
  )
  parser.add_argument(
    "--still",
    action="store_true",
    help="the same clips of faces at rest: no AU, no distractor, no blink, so that"
    " onset and apex differ by nuisance alone",
  )
  parser.add_argument(
    "--labels",
    choices=("statistics", "balanced"),
    default=default.labels,
    help="statistics: the AU patterns of the licensed databases; balanced: one or two"
    " AUs a clip, each AU equally often, for demonstrations (default: statistics)",
  )
  parser.add_argument(
    "--databases",
    default=",".join(DATABASES),
    help=f"comma-separated, of {','.join(DATABASES)} (default: all)",
  )
  harder = parser.add_argument_group(
    "difficulty", "pairs such as 5:0.4,6:0.3; docs/simulator.md says what each does"
  )
  for name, help in _DIFFICULTY.items():
    harder.add_argument(f"--{name}", default="", metavar="PAIRS", help=help)
  harder.add_argument(
    "--unlike",
    type=float,
    default=PLAIN.unlike,
    help="how much databases differ in AUs' strengths, sd of the logarithm (default 0)",
  )
  long = parser.add_argument_group(
    "long videos", "with --out, --seed and --nuisance; for spotting (docs/spotting.md)"
  )
  long.add_argument(
    "--long", type=int, metavar="N", help="write N long videos instead of databases"
  )
  long.add_argument("--seconds", type=float, help="that each lasts (default: 40)")
  long.add_argument(
    "--fps", help="frames a second, in turn (default: 25,30,60,100,200)"
  )
  long.add_argument("--size", metavar="WxH", help="of the frames (default: 320x240)")


def run(args: argparse.Namespace) -> int:
  """Simulates and prints what was written. Returns the exit status."""
  if args.long is not None:
    return _run_long(args)
  alone = [f"--{n}" for n in ("seconds", "fps", "size") if getattr(args, n)]
  if alone:
    raise UserError(f"{' and '.join(alone)}: of long videos alone; give --long N too")
  plan = simulate(args.out, _parameters(args))
  print(_summary(plan))
  labels = "still faces" if args.still else f"{args.labels} labels"
  kind = "nuisance" if args.only == "all" else f"nuisance by {args.only} alone"
  print(
    f"Simulated databases ({labels}, {kind} {args.nuisance:g}, seed {args.seed}) in"
    f" {args.out}; {SIMULATED} says how they were made."
  )
  return 0


def _run_long(args: argparse.Namespace) -> int:
  stories = simulate_long(args.out, _long_parameters(args))
  rows = [["video", "frames", *KINDS_OF_EVENTS]]
  for story in stories:
    counts = Counter(event.kind for event in story.events)
    rows.append([story.name, story.count, *(counts[kind] for kind in KINDS_OF_EVENTS)])
  print(text_table(rows))
  print(
    f"Simulated videos (nuisance {args.nuisance:g}, seed {args.seed}) in {args.out};"
    f" intervals.csv holds the truth, {SIMULATED} says how they were made."
  )
  return 0


KINDS_OF_EVENTS = ("micro", "macro", "blink", "speech", "turn", "light")


def _long_parameters(args: argparse.Namespace) -> LongParameters:
  default = Parameters()
  given = [
    f"--{name}"
    for name in ("scale", "frames", "only", "still", "labels")
    if getattr(args, name) != getattr(default, name)
  ]
  given += [f"--{name}" for name in (*_DIFFICULTY, "unlike") if getattr(args, name)]
  if args.databases != ",".join(DATABASES):
    given.append("--databases")
  if given:
    raise UserError(f"--long {args.long} and {', '.join(given)}: give one or the other")
  if not 1 <= args.long <= 1000:
    raise UserError(f"--long {args.long}: give a whole number from 1 to 1000")
  _check_strength(args)
  seconds = LongParameters.seconds if args.seconds is None else args.seconds
  if not 5 <= seconds <= 600:
    raise UserError(f"--seconds {seconds:g}: give a number from 5 to 600")
  rates = _numbers("--fps", args.fps, ",", RATES, 25, 200)
  size = _numbers("--size", args.size, "x", LongParameters.size, 160, 1280)
  if len(size) != 2 or size[0] > 1280 or size[1] > 768 or any(v % 2 for v in size):
    raise UserError(
      f"--size {args.size}: give width and height, even and up to 1280x768, such as"
      " 320x240"
    )
  return LongParameters(
    long=args.long,
    seed=args.seed,
    nuisance=args.nuisance,
    seconds=seconds,
    rates=rates,
    size=(int(size[0]), int(size[1])),
  )


def _numbers(flag, text, separator, default, least, most) -> tuple[float, ...]:
  if text is None:
    return default
  try:
    numbers = tuple(float(part) for part in text.split(separator))
  except ValueError:
    numbers = ()
  if not numbers or not all(least <= n <= most for n in numbers):
    raise UserError(
      f"{flag} {text}: give numbers from {least} to {most} with {separator!r} between"
    )
  return numbers


def _parameters(args: argparse.Namespace) -> Parameters:
  chosen = [key.strip() for key in args.databases.split(",") if key.strip()]
  unknown = [key for key in chosen if key not in DATABASES]
  if unknown or not chosen:
    raise UserError(
      f"--databases={args.databases}: {', '.join(unknown) or 'nothing'} is not one of"
      f" {', '.join(DATABASES)}"
    )
  if not 0 < args.scale <= 1:
    raise UserError(f"--scale={args.scale:g}: give a number above 0 and up to 1")
  _check_strength(args)
  return Parameters(
    seed=args.seed,
    scale=args.scale,
    nuisance=args.nuisance,
    frames=args.frames,
    labels=args.labels,
    databases=tuple(key for key in DATABASES if key in chosen),
    only=args.only,
    still=args.still,
    difficulty=difficulty_of(args),
  )


def difficulty_of(args: argparse.Namespace) -> Difficulty:
  """Reads what makes a simulation harder from the flags."""
  if not 0 <= args.unlike <= 1:
    raise UserError(f"--unlike={args.unlike:g}: give a number from 0 to 1")
  return Difficulty(
    **{
      name: _pairs(
        name,
        getattr(args, name),
        DATABASES if name == "coders" else AUS,
        1 if name == "doubtful" else 3,
      )
      for name in _DIFFICULTY
    },
    unlike=args.unlike,
  )


def _pairs(name: str, text: str, keys: Sequence[int | str], most: float) -> Pairs:
  """Reads pairs such as "5:0.4,6:0.3", in the order of `keys`."""
  known, found = {str(key): key for key in keys}, {}
  for part in filter(None, (part.strip() for part in text.split(","))):
    key, _, number = part.partition(":")
    try:
      value = float(number)
    except ValueError:
      value = -1.0
    if key not in known or key in found or not 0 <= value <= most:
      raise UserError(
        f"--{name}={text}: {part} is no pair of one of {', '.join(known)}, each once,"
        f" and a number from 0 to {most}, such as {keys[0]}:0.5"
      )
    found[key] = value
  return tuple((key, found[str(key)]) for key in keys if str(key) in found)


def _check_strength(args: argparse.Namespace) -> None:
  if not 0 <= args.nuisance <= 3:
    raise UserError(f"--nuisance={args.nuisance:g}: give a number from 0 to 3")
  if args.seed < 0:
    raise UserError(f"--seed={args.seed}: give a whole number from 0")


def _summary(plan: dict[str, list[PlannedClip]]) -> str:
  """Clips, subjects and positives per AU of each database, as a text table."""
  counts = {key: positives(clips) for key, clips in plan.items()}
  rows = [["database", "clips", "subjects", *(f"AU{au}" for au in _aus(counts))]]
  for key, clips in plan.items():
    subjects = len({clip.subject for clip in clips})
    rows.append([LAYOUTS[key].folders[0], len(clips), subjects, *counts[key].values()])
  rows.append(
    ["all", *(sum(column) for column in list(zip(*rows[1:], strict=True))[1:])]
  )
  return text_table(rows)


def _aus(counts: dict[str, dict[int, int]]) -> tuple[int, ...]:
  return tuple(next(iter(counts.values())))
