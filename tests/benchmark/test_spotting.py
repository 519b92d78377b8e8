"""The spotting benchmark: its metric, its baselines and its document."""

import re
import subprocess
import sys

import cv2
import numpy as np
import pytest

from infusenet_jax.benchmark.spotting import document, measure
from infusenet_jax.benchmark.spotting.baselines import MainDirection, Nose, peak_rule
from infusenet_jax.benchmark.spotting.measure import OURS, SHARES, SPOTTERS, Video
from infusenet_jax.benchmark.spotting.metric import Counts, count, match, overlap
from infusenet_jax.clips.faces.alignment import EYES_APART, EYES_CENTRE
from infusenet_jax.predict.watch.motion import SIZE
from infusenet_jax.runtime.errors import UserError

RATE = 30.0


# -- The metric ----------------------------------------------------------------


def test_both_ends_of_an_interval_count():
  assert overlap((0, 9), (0, 9)) == 1
  assert overlap((0, 9), (5, 14)) == pytest.approx(5 / 15)
  assert overlap((0, 9), (10, 19)) == 0
  assert overlap((3, 3), (3, 3)) == 1


def test_a_prediction_matches_one_interval_at_most():
  # It overlaps both by half, and the second better.
  assert match([(0, 29)], [(0, 14), (10, 29)]) == {0: 1}
  assert match([(0, 19), (0, 20)], [(0, 20)]) == {1: 0}


def test_half_is_enough_and_less_is_not():
  assert match([(0, 19)], [(0, 9)])
  assert not match([(0, 20)], [(0, 9)])


def test_videos_without_truth_or_predictions_count():
  counts = count([([(0, 9)], []), ([], [(0, 9)]), ([(0, 9)], [(0, 9)]), ([], [])])
  assert counts == Counts(right=1, wrong=1, missed=1)
  assert counts.f1 == counts.precision == counts.recall == 0.5
  assert np.isnan(Counts().f1)


# -- The baselines -------------------------------------------------------------


def crops(moves: np.ndarray) -> list[np.ndarray]:
  """A textured crop whose mouth's corner moves down by so many pixels."""
  rng = np.random.default_rng(0)
  texture = cv2.GaussianBlur(rng.random((SIZE, SIZE)).astype(np.float32), (0, 0), 1.2)
  texture = cv2.normalize(texture, None, 20, 235, cv2.NORM_MINMAX)
  x, y = (np.arange(SIZE) + 0.5) / SIZE, (np.arange(SIZE) + 0.5) / SIZE
  u, v = np.meshgrid(
    (x - EYES_CENTRE[0]) / EYES_APART, (y - EYES_CENTRE[1]) / EYES_APART
  )
  weight = np.exp(-0.5 * (((u - 0.42) / 0.25) ** 2 + ((v - 1.17) / 0.25) ** 2))
  rows, columns = np.mgrid[:SIZE, :SIZE].astype(np.float32)
  return [
    cv2.remap(
      texture, columns, (rows - m * weight).astype(np.float32), cv2.INTER_LINEAR
    ).astype(np.uint8)
    for m in moves
  ]


@pytest.fixture(scope="module")
def twitch() -> list[np.ndarray]:
  """Three seconds in which the mouth's corner moves from 1.3 to 1.7 s."""
  t = np.clip((np.arange(90) / RATE - 1.3) / 0.4, 0, 1)
  return crops(2.0 * (0.5 - 0.5 * np.cos(2 * np.pi * t)))


@pytest.mark.parametrize("kind", (MainDirection, Nose))
def test_baselines_find_a_twitch(kind, twitch):
  spotter = kind(RATE)
  for crop in twitch:
    spotter.add(crop)
  spans = spotter.spans(0.55)
  assert max(overlap(span, (39, 51)) for span in spans) > 0.5


def test_nothing_rises_in_a_still_face():
  spotter = Nose(RATE)
  for crop in crops(np.zeros(70)):
    spotter.add(crop)
  assert not spotter.spans(0.55)


def test_the_peak_rule_always_fires_and_keeps_peaks_apart():
  rng = np.random.default_rng(0)
  spans = peak_rule(rng.random(300), 5, 0.3)
  assert spans
  middles = [(a + b) / 2 for a, b in spans[1:-1]]
  assert np.diff(middles).min() >= 5
  assert all(b - a == 10 for a, b in spans[1:-1])


# -- The document --------------------------------------------------------------


def make_video(kind: str, **found) -> Video:
  events = [measure.Event("blink", (100, 105), 9.0)]
  if kind == "expressions":
    events += [measure.Event("micro", (10, 19), 1.0)]
  video = Video(f"{kind}.mp4", kind, 25.0, 1.0, 3, 1500, events, cost=0.01)
  video.found[OURS] = found.get("ours", [])
  video.blinks = [(100, 105)]
  others = found.get("others", {})
  video.by_share = {
    name: {share: others.get(share, []) for share in SHARES} for name in SPOTTERS[1:]
  }
  return video


def test_the_document_says_what_was_measured_and_on_what():
  videos = [
    make_video("expressions", ours=[(11, 20)], others={0.65: [(9, 19)]}),
    make_video("everyday", ours=[(100, 105)]),
    make_video("still"),
  ]
  text = document.document(videos)
  assert "Everything below is simulated" in text
  assert "nobody spots well" in text and "0.25" in text
  assert "of seed 3" in text and "Thresholds were chosen on other videos" in text
  ours = next(row for row in text.splitlines() if OURS in row and "| 1 " in row)
  cells = [cell.strip() for cell in ours.split("|")[1:-1]]
  # One found, none missed, one false: in an everyday video, on a blink of three.
  assert cells[2:8] == ["1", "0", "1", "0.50", "1.00", "0.67"]
  assert cells[8:] == ["0.00", "1.00", "0.00", "33.3 %"]
  assert "3 of 3 blinks are recognised as such, and 0 wrongly" in text
  # The others get the p that suits them.
  assert "0.65 and 0.65" in text


def test_videos_that_thresholds_were_chosen_on_are_named():
  videos = [make_video("still")]
  videos[0].seed = document.TUNED_ON[0]
  assert "among these videos" in document.document(videos)


def test_another_folder_is_refused_in_one_line(tmp_path):
  with pytest.raises(UserError, match="no folder of simulated long videos") as error:
    measure.read_folder(tmp_path)
  assert "\n" not in str(error.value)


@pytest.mark.slow
def test_the_command_on_two_short_videos(tmp_path):
  folder, out = tmp_path / "long", tmp_path / "spotting.md"
  simulate = [sys.executable, "-m", "data_prep", "simulate", "--long", "2"]
  simulate += ["--seconds", "5", "--fps", "25", "--seed", "3", "--out", str(folder)]
  subprocess.run(simulate, check=True, capture_output=True)
  benchmark = [sys.executable, "-m", "infusenet_jax.benchmark.spotting"]
  subprocess.run(
    [*benchmark, str(folder), "--out", str(out)], check=True, capture_output=True
  )
  assert re.search(r"^\| 1 +\| +this project \|", out.read_text(), re.MULTILINE)
