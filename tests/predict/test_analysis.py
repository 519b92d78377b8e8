"""One story: a video goes in, a report comes out, and it says what is amiss."""

import weakref

import numpy as np
import pytest

from infusenet_jax.predict import analysis
from infusenet_jax.predict.findings import SIMULATED_WEIGHTS, Spot
from infusenet_jax.predict.watch.video import ArrayFootage, Frame
from infusenet_jax.runtime.errors import UserError
from tests.predict.films import face, smiles, wall


def analyse(networks, frames, fps=50, **options):
  return analysis.analyse(frames, fps, networks=networks, **options)


def noted(report, words):
  return any(words in note for note in report.notes)


def test_a_report_of_given_intervals(pretended):
  report = analyse(pretended, smiles(13), intervals=[(6, 9, 12), (0, 6, 12)])
  assert [interval.onset for interval in report.intervals] == [0, 6]
  assert report.blinks == []
  assert report.settings["intervals"] == "given"
  assert report.model["name"] == "pretended"
  assert noted(report, SIMULATED_WEIGHTS)
  assert {"jax", "numpy", "av"} <= report.versions.keys()


def test_what_ships_is_taken_by_default(pretended, monkeypatch):
  monkeypatch.setattr(analysis, "shipped", lambda: pretended)
  assert analyse(None, smiles(3)).model["name"] == "pretended"


def test_blinks_are_kept_apart(pretended, monkeypatch):
  spots = [Spot(0, 2, 4, "blink", 9.0), Spot(5, 8, 11, "expression", 2.0)]
  monkeypatch.setattr(analysis, "spot", lambda frames: spots)
  report = analyse(pretended, smiles(13))
  assert [interval.kind for interval in report.intervals] == ["expression"]
  assert [interval.onset for interval in report.blinks] == [0]
  assert report.settings["intervals"] == "spotted"


def test_one_frame(pretended):
  report = analyse(pretended, [face()])
  assert not report.intervals and len(report.frames) == 1
  assert noted(report, "a single frame, in which no motion can be seen")


def test_low_frame_rates_are_warned_of(pretended):
  report = analyse(pretended, smiles(6), fps=25)
  assert noted(
    report, "at 25 frames a second an expression of 0.2 s has 5 frames: fewer"
  )
  report = analyse(pretended, smiles(6), fps=600)
  assert noted(report, "an expression of 0.2 s has 120 frames")
  assert not noted(report, "fewer than")


def test_no_face(pretended):
  report = analyse(pretended, [wall()] * 3, intervals=[(0, 1, 2)])
  assert not report.frames.success.any()
  assert np.isnan(report.intervals[0].probability).all()
  assert noted(report, "no face was found in any of the 3 frames")


def test_a_face_that_leaves_and_comes_back(pretended):
  images = [face()] * 30 + [wall()] * 30 + [face()] * 30
  report = analyse(pretended, images, intervals=[(70, 72, 75)])
  success = report.frames.success
  assert success[:20].all() and not success[40:55].any() and success[80:].all()
  assert np.isnan(report.frames.motion[45]).all()
  assert noted(report, "frames, which are passed over")
  assert np.isfinite(report.intervals[0].probability).all()


def test_two_faces(pretended):
  both = np.concatenate([face(), face()[::2, ::2].repeat(2, 0).repeat(2, 1)], 1)
  both[:, 192:] = wall()
  small = face()[::2, ::2]
  both[40:136, 240:336] = small
  largest = analyse(pretended, [both] * 3)
  other = analyse(pretended, [both] * 3, face=1)
  assert noted(largest, "up to 2 faces in a frame: the largest was followed")
  assert largest.frames.eyes[0, 0, 0] < 192 < other.frames.eyes[0, 0, 0]
  assert other.face == 1
  third = analyse(pretended, [both] * 3, face=2)
  assert noted(third, "no face 2 was found in any")


def test_intervals_that_are_not_there(pretended):
  with pytest.raises(UserError, match="interval 1: offset is frame 99"):
    analyse(pretended, smiles(6), intervals=[(0, 1, 2), (3, 4, 99)])
  with pytest.raises(UserError, match="interval 0: onset 3, apex 2"):
    analyse(pretended, smiles(6), intervals=[(3, 2, 4)])


def test_frames_are_not_kept(pretended):
  """So that memory does not grow with the video's length."""
  alive, most = weakref.WeakSet(), 0

  class Held(np.ndarray):
    __hash__ = object.__hash__

  class Long(ArrayFootage):
    def __iter__(self):
      nonlocal most
      for number in range(60):
        image = np.array(self._image(0)).view(Held)
        alive.add(image)
        most = max(most, len(alive))
        yield Frame(number, number / 50, image)
        del image

  footage = Long([face()], 50)
  analysis.report_on(footage, pretended, [])
  assert 1 <= most <= 8
