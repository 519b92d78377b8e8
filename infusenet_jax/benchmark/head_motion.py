"""Measures on simulated clips what is left of the head's own motion, and of the AUs.

  python -m infusenet_jax.benchmark.head_motion --out DIR

It simulates the databases once for each strength of nuisance (light, motion of the
head, noise), builds their records with the head's motion kept and removed (`build
--head`), and compares their flow with what moved in truth. It prints the tables of
docs/data.md. What was made in DIR before is used again.
"""

import argparse
import csv
import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from infusenet_jax.artefacts.runs import Look
from infusenet_jax.artefacts.scores import pointing
from infusenet_jax.artefacts.truth import face, share_inside
from infusenet_jax.clips.faces.alignment import from_eyes
from infusenet_jax.clips.flow.head import flow_without_head, head_motion
from infusenet_jax.clips.labels import AUS
from infusenet_jax.clips.prepared import prepared_databases
from infusenet_jax.clips.records import RecordSource
from infusenet_jax.clips.schema import GRID, HEADS, TRUTH
from infusenet_jax.runtime.errors import UserError, exit_with_one_line
from infusenet_jax.runtime.files import read_arrays
from infusenet_jax.runtime.text import markdown_table, plain_text
from infusenet_jax.training.simulated import simulated_records

NUISANCE = (1, 2)
PIXELS = 224  # Errors are in pixels of a crop of this size, whatever the records'.


@dataclass(frozen=True)
class Clip:
  """One simulated clip.

  name: database, subject, clip.
  labels: (12,) of 0 and 1.
  flow, own, head: (S, S, 2) pixels of the crop: as the record has it, and in truth what
    action units moved, and what else the head did.
  moving: (GRID, GRID) in [0, 1], where that is 0.1 px of a 224 px crop or more.
  """

  name: tuple[str, str, str]
  labels: np.ndarray
  flow: np.ndarray
  own: np.ndarray
  head: np.ndarray
  moving: np.ndarray


def main() -> None:
  """Runs the command; `--help` explains it."""
  parser = argparse.ArgumentParser(
    prog="python -m infusenet_jax.benchmark.head_motion",
    description=__doc__,
    formatter_class=argparse.RawDescriptionHelpFormatter,
  )
  parser.add_argument("--out", type=Path, required=True, metavar="DIR")
  parser.add_argument("--sizes", type=int, nargs="+", default=[64, 224], metavar="PX")
  parser.add_argument("--scale", type=float, default=0.03, help="of the 2,031 clips")
  parser.add_argument("--seed", type=int, default=7)
  args = parser.parse_args()
  for size in args.sizes:
    print(f"\nSimulated data, {size} px\n\n{report(args, size)}")


def report(args: argparse.Namespace, size: int) -> str:
  """Makes both tables of one size of records."""
  head = ["nuisance", "head", "flow where the face moved", "error, px", "of the AUs"]
  rows, kept = [head], [["of the AUs, %", *(f"AU{au}" for au in AUS)]]
  for nuisance in NUISANCE:
    found = {}
    for way in HEADS:
      records = simulated_records(
        args.out / f"nuisance-{nuisance}",
        size,
        *(f"--scale={args.scale}", f"--seed={args.seed}", "--labels=balanced"),
        f"--nuisance={nuisance}",
        head=way,
      )
      found[way] = list(read_clips(records))
    clips = found["kept"]
    found |= {
      "shift alone, by the median": with_flow(
        clips, lambda c: c.flow - np.median(c.flow, (0, 1))
      ),
      "the true one removed": with_flow(
        clips, lambda c: flow_without_head(c.flow, c.head)
      ),
    }
    for way, clips in found.items():
      share = pointing(list(looks(clips)))["flow input"]["mean"]
      middle = 100 * np.median([part_kept(clip.flow, clip.own) for clip in clips])
      rows.append(
        [nuisance, way, f"{share:.0f} %", f"{error(clips):.3f}", f"{middle:.0f} %"]
      )
      kept.append([f"nuisance {nuisance}, {way}", *by_au(clips)])
  alone = with_flow(clips, lambda c: c.own - head_motion(c.own))
  kept.append(["of the true motion of AUs alone", *by_au(alone)])
  return f"{len(clips)} clips.\n\n{markdown_table(rows)}\n\n{markdown_table(kept)}"


def read_clips(records: Path) -> Iterator[Clip]:
  """Yields the clips of simulated records whose faces moved, with their truth.

  Raises:
    UserError: records, alignments or truth are missing or damaged.
  """
  root = records.parent / "databases" / "truth"
  for key, folder in prepared_databases(records).items():
    masks = read_arrays(folder / TRUTH)
    eyes = _eyes(folder)
    source = RecordSource(folder)
    for number in range(len(source)):
      record = source[number]
      subject, clip = (record[name].decode() for name in ("subject", "clip"))
      if (subject, clip) not in eyes:
        continue
      flow = record["flow"][..., :2].astype(np.float32)
      path = root / key / f"{subject}_{clip}.npz"
      own, total = _in_crop(path, eyes[subject, clip], len(flow))
      (row,) = np.flatnonzero((masks["subject"] == subject) & (masks["clip"] == clip))
      if own.any():
        moving = masks["moving"][row].astype(np.float32) / 255
        yield Clip(
          (key, subject, clip), record["labels"], flow, own, total - own, moving
        )


def _eyes(folder: Path) -> dict[tuple[str, str], np.ndarray]:
  """Both eyes (2, 2) in pixels of the onset, by subject and clip."""
  with (folder / "alignment.csv").open(newline="", encoding="utf-8") as stream:
    return {
      (plain_text(row["subject"]), plain_text(row["clip"])): np.array(
        [[float(row[f"{side}_eye_{axis}"]) for axis in "xy"] for side in _SIDES]
      )
      for row in csv.DictReader(stream)
      if row["found"] == "eyes"
    }


_SIDES = ("left", "right")


def _in_crop(path: Path, eyes: np.ndarray, size: int) -> list[np.ndarray]:
  """True motion by action units and in all, (size, size, 2) in pixels of the crop."""
  try:
    truth = read_arrays(path)
    place, step = (truth["left"], truth["top"]), truth["step"]
    fields = [truth[name].astype(np.float32) for name in ("au_flow", "total_flow")]
  except (OSError, KeyError, ValueError) as error:
    raise UserError(
      f"{path}: cannot be read ({error}); delete the folder and run this again"
    ) from error
  matrix = from_eyes(*eyes, size)
  back = cv2.invertAffineTransform(matrix)
  rows, columns = np.mgrid[:size, :size]
  frame = np.stack([columns, rows, np.ones_like(rows)], -1) @ back.T
  x, y = np.moveaxis((frame - place) / step, -1, 0).astype(np.float32)
  # Outside of what the truth covers nothing moved.
  turn = matrix[:, :2].T.astype(np.float32)
  return [cv2.remap(field, x, y, cv2.INTER_LINEAR) @ turn for field in fields]


def looks(clips: list[Clip]) -> Iterator[Look]:
  """Which share of the flow lies where the face moved, as the artefact study has it."""
  skin = face()
  for clip in clips:
    region = float((clip.moving * skin).sum() / skin.sum())
    length = np.linalg.norm(clip.flow, axis=-1)
    way = cv2.INTER_AREA if len(length) > GRID else cv2.INTER_LINEAR
    length = cv2.resize(length, (GRID, GRID), interpolation=way)
    share = float(share_inside(length[None], clip.moving[None])[0])
    for au, on in zip(AUS, clip.labels, strict=True):
      if on and region:
        yield Look(*clip.name, 0, au, region, {"flow input": share})


def error(clips: list[Clip]) -> float:
  """Mean distance of the flow from what action units moved, over faces, `PIXELS`."""
  size = len(clips[0].flow)
  skin = face(size) > 0
  off = [np.linalg.norm(clip.flow - clip.own, axis=-1)[skin].mean() for clip in clips]
  return float(np.mean(off)) * PIXELS / size


def part_kept(flow: np.ndarray, own: np.ndarray) -> float:
  """Which part of `own` is in `flow`, by least squares: <flow, own> / <own, own>."""
  return float((flow * own).sum() / (own**2).sum())


def by_au(clips: list[Clip]) -> list[str]:
  """`part_kept` by AU in percent, the median of the clips that are labelled with it."""
  parts = np.array([part_kept(clip.flow, clip.own) for clip in clips])
  labels = np.stack([clip.labels for clip in clips]) > 0
  return [f"{100 * np.median(parts[on]):.0f}" if on.any() else "-" for on in labels.T]


def with_flow(clips: list[Clip], make: Callable[[Clip], np.ndarray]) -> list[Clip]:
  """The same clips with another flow."""
  return [dataclasses.replace(clip, flow=make(clip)) for clip in clips]


if __name__ == "__main__":
  exit_with_one_line(main)
