"""An example report: a simulated face, its AUs invented.

    python -m tests.predict.example report.html

Faces, magnified faces and flow are rendered by the simulator. The time line, blinks,
probabilities and where the network looked are made up: no network has a say here. The
page says so.
"""

import argparse
from pathlib import Path

import numpy as np

from data_prep.simulator.camera.film import Film
from data_prep.simulator.camera.studio import Studio
from data_prep.simulator.plan.population import PlannedClip, Shown
from infusenet_jax.clips.faces.alignment import EYES_APART, from_eyes, warp
from infusenet_jax.clips.labels import AUS
from infusenet_jax.predict.findings import REGIONS, Frames, Interval, Pictures, Report
from infusenet_jax.predict.show.page import render

FPS = 30.0
SECONDS = 24.0
SIZE = 224
AMP = 10.0
# Onset and length in frames; AUs and their peaks on the left and right, pixels of a
# crop.
SHOWN = (
  (70, 11, ((4, 1.6, 1.4), (7, 1.0, 0.9))),
  (231, 13, ((12, 0.0, 2.2),)),
  (402, 9, ((1, 1.2, 1.3), (2, 1.1, 1.4))),
  (588, 14, ((15, 0.9, 0.8), (17, 1.3, 1.2))),
)
BLINKS = (32, 150, 171, 330, 508, 560, 660)
# Which regions an AU moves, as a part of its peak.
MOVES = {
  1: {"brow_middle": 0.9, "brow_left": 0.6, "brow_right": 0.6},
  2: {"brow_left": 0.9, "brow_right": 0.9, "brow_middle": 0.2},
  4: {"brow_left": 0.7, "brow_right": 0.7, "brow_middle": 0.9, "nose": 0.2},
  7: {"eye_left": 0.8, "eye_right": 0.8, "cheek_left": 0.2, "cheek_right": 0.2},
  12: {"mouth_left": 0.9, "mouth_right": 0.9, "cheek_left": 0.5, "cheek_right": 0.5,
       "lip_upper": 0.4},
  15: {"mouth_left": 0.9, "mouth_right": 0.9, "chin": 0.3},
  17: {"chin": 0.9, "lip_lower": 0.7},
}  # fmt: skip


def example_report(pictures: bool = True) -> Report:
  """A report of 24 s with four expressions, seven blinks and a face lost twice."""
  frames = _frames()
  studio = Studio("casme2", 4, seed=0) if pictures else None
  return Report(
    source="simulated interview.mp4",
    face=0,
    frames=frames,
    intervals=[_interval(frames, *shown, studio) for shown in SHOWN],
    blinks=[_blink(frames, start) for start in BLINKS],
    model={
      "from": "example",
      "name": "no network: invented probabilities",
      "databases": ["simulated faces"],
      "simulated": True,
      "calibrated": False,
    },
    settings={"amp": AMP, "size": SIZE, "longest interval in seconds": 0.5},
    versions={"infusenet-jax": "0.1.0", "numpy": np.__version__},
    notes=(
      "An example: the face is simulated; time line, blinks, probabilities and where"
      " the network looked are invented.",
    ),
  )


def _frames() -> Frames:
  count = round(SECONDS * FPS)
  rng = np.random.default_rng(0)
  number = np.arange(count)
  motion = np.abs(rng.normal(0.12, 0.05, (count, len(REGIONS))))
  drift = np.cumsum(rng.normal(0, 0.03, motion.shape), 0)
  motion += np.abs(drift - drift.mean(0)) * 0.15
  for onset, length, shown in SHOWN:
    for au, left, right in shown:
      for region, share in MOVES[au].items():
        peak = left if region.endswith("_left") else right
        peak = max(left, right) if "_" not in region else peak
        rise = share * peak * _rise(number, onset, length) / (EYES_APART * SIZE)
        motion[:, REGIONS.index(region)] += 100 * rise
  for start in BLINKS:
    for side in ("eye_left", "eye_right"):
      motion[:, REGIONS.index(side)] += 9 * _rise(number, start, 7)
  success = np.ones(count, bool)
  success[282:318] = success[690:] = False
  box = np.tile([190.0, 70.0, 260.0, 330.0], (count, 1))
  eyes = np.tile([[268.0, 190.0], [372.0, 190.0]], (count, 1, 1))
  confidence = np.full(count, 0.998)
  for values in (motion, box, eyes, confidence):
    values[~success] = np.nan
  return Frames(number, number / FPS, success, confidence, box, eyes, motion)


def _rise(number: np.ndarray, onset: int, length: int) -> np.ndarray:
  """From 0 at the onset to 1 and back, a frame each."""
  return np.sin(np.pi * np.clip((number - onset) / length, 0, 1)) ** 2


def _interval(frames: Frames, onset: int, length: int, shown, studio) -> Interval:
  apex, offset = onset + length // 2, onset + length
  rng = np.random.default_rng(onset)
  probability = np.clip(rng.beta(1.2, 9, len(AUS)), 0.01, 0.99)
  for au, left, right in shown:
    probability[AUS.index(au)] = 0.55 + 0.2 * max(left, right) * rng.uniform(0.6, 1)
  percent = np.nanmax(frames.motion[onset : offset + 1])
  return Interval(
    "expression",
    onset,
    apex,
    offset,
    *frames.seconds[[onset, apex, offset]],
    probability=np.minimum(probability, 0.99),
    decision=probability > 0.5,
    motion_px=percent * 1.04,
    motion_percent=percent,
    notes=("a blink ends just before its onset",) if onset == 588 else (),
    pictures=studio and _pictures(studio, onset, apex, offset, shown),
  )


def _blink(frames: Frames, start: int) -> Interval:
  return Interval(
    "blink",
    start,
    start + 3,
    start + 7,
    *frames.seconds[[start, start + 3, start + 7]],
    probability=np.full(len(AUS), np.nan),
    decision=np.zeros(len(AUS), bool),
    motion_px=9.4,
    motion_percent=9.0,
  )


def _pictures(studio: Studio, onset: int, apex: int, offset: int, shown) -> Pictures:
  clip = PlannedClip(
    "casme2", 4, "sub04", "example", "example", (0, 1, 4, onset), onset, apex, offset,
    apex, FPS, (), (), tuple(Shown(*each) for each in shown), (), 0.0, "others",
  )  # fmt: skip
  film = Film(clip, studio, nuisance=0.3)
  eyes = film.eyes(onset)
  matrix = from_eyes(*eyes, SIZE)
  first, second = (_crop(film, number, matrix) for number in (onset, apex))
  flow = _flow(film, matrix)
  film.field *= AMP
  looked = np.hypot(*np.moveaxis(flow, -1, 0)) ** 2
  magnified = _crop(film, apex, matrix)
  return Pictures(first, second, magnified, AMP, flow, looked)


def _crop(film: Film, number: int, matrix: np.ndarray) -> np.ndarray:
  return np.ascontiguousarray(warp(film.frame(number), matrix, SIZE)[..., ::-1])


def _flow(film: Film, matrix: np.ndarray) -> np.ndarray:
  """The true motion of the AUs in the crop, pixels of the crop."""
  truth = film.truth()
  scale = np.hypot(*matrix[:, 0])
  grid = np.array(
    [[truth.step, 0, truth.left], [0, truth.step, truth.top], [0, 0, 1.0]]
  )
  own = np.float32(truth.au_flow) * scale
  return warp(own, matrix @ grid, SIZE)


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
  parser.add_argument("out", type=Path, help="the page to be written")
  parser.parse_args().out.write_text(render(example_report()), encoding="utf-8")


if __name__ == "__main__":
  main()
