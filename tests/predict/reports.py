"""Reports of made-up frames and intervals, 100 frames a second."""

import dataclasses

import numpy as np

from infusenet_jax.predict.findings import REGIONS, Frames, Interval, Pictures, Report


def make_frames(count, fps=100.0, first=0):
  rng = np.random.default_rng(0)
  seconds = np.arange(count) / fps
  return Frames(
    number=first + np.arange(count),
    seconds=seconds,
    success=np.ones(count, bool),
    confidence=np.full(count, 0.9),
    box=np.tile([10.0, 10, 60, 60], (count, 1)),
    eyes=np.tile([[30.0, 40.0], [60, 40]], (count, 1, 1)),
    motion=rng.uniform(0, 0.5, (count, len(REGIONS))),
  )


def without_face(frames, rows):
  """The frames, and no face in some of their rows."""
  frames.success[rows] = False
  for values in (frames.confidence, frames.box, frames.eyes, frames.motion):
    values[rows] = np.nan
  return frames


def make_pictures(looked=True, side=32):
  rng = np.random.default_rng(0)
  face = rng.integers(0, 255, (3, side, side, 3), np.uint8)
  flow = np.zeros((side, side, 2), np.float32)
  flow[4:12, 4:12] = (3, 4)
  heat = np.eye(side, dtype=np.float32) if looked else None
  return Pictures(*face, amp=10.0, flow=flow, looked=heat)


def make_interval(frames, onset, kind="expression", pictures=None, **changes):
  rows = onset + np.array([0, 8, 20])
  probability = np.linspace(0.05, 0.95, 12)
  interval = Interval(
    kind,
    *frames.number[rows].tolist(),
    *frames.seconds[rows].tolist(),
    probability=probability,
    decision=probability >= 0.5,
    motion_px=1.25,
    motion_percent=2.5,
    pictures=pictures,
  )
  return dataclasses.replace(interval, **changes)


def make_report(count=1000, onsets=(100, 500), pictures=None, **changes):
  frames = make_frames(count)
  report = Report(
    source="ben.mp4",
    face=0,
    frames=frames,
    intervals=[make_interval(frames, onset, pictures=pictures) for onset in onsets],
    model={"from": "run", "simulated": False, "calibrated": True},
    settings={"amp": 10.0},
    versions={"infusenet-jax": "0.1.0"},
  )
  return dataclasses.replace(report, **changes)
