"""Intervals are looked at as records are made, and what is doubtful is said."""

import numpy as np
import pytest

from infusenet_jax.clips.faces.detector import FaceDetector
from infusenet_jax.clips.flow import measured
from infusenet_jax.clips.labels import AUS
from infusenet_jax.clips.schema import FRAMES, HEADS, OFFSET
from infusenet_jax.predict.aus import PICTURE, _nearest, describe
from infusenet_jax.predict.findings import Spot
from infusenet_jax.predict.watch.track import follow
from infusenet_jax.predict.watch.video import open_footage
from infusenet_jax.training.trained import Made
from tests.predict.films import face, pretended_measure, smiles, wall


def look(pretended, images, spots, fps=50, **options):
  footage = open_footage(images, fps)
  frames, _ = follow(footage, 0)
  return describe(footage, frames, spots, pretended, **options)


def test_an_interval_has_its_motion_and_its_probabilities(pretended):
  (found,) = look(pretended, smiles(13), [Spot(0, 6, 12, "expression", 3.0)])
  assert (found.kind, found.onset, found.apex, found.offset) == ("expression", 0, 6, 12)
  assert (found.onset_seconds, found.apex_seconds) == pytest.approx((0, 0.12))
  assert found.probability[AUS.index(12)] == 0.875
  assert found.decision.sum() == 1 and found.decision[AUS.index(12)]
  (eyes,) = FaceDetector().find(face()[..., ::-1])
  # The mouth moves by 3 pixels; a region's mean and OpenCV's flow make it a bit less.
  assert 1 < found.motion_px < 3.2
  percent = 100 * found.motion_px / eyes.eye_distance
  assert found.motion_percent == pytest.approx(percent, rel=0.02)


def test_the_window_apex_is_the_frame_that_differs_most(pretended, monkeypatch):
  images, seen = smiles(13), []
  images[7] = np.roll(images[7], 4, axis=0)  # 20 ms after the apex.
  images[9] = np.roll(images[9], 8, axis=0)  # 60 ms after it, too late.
  ask = pretended.probabilities

  def probabilities(*given):
    seen.append(given)
    return ask(*given)

  monkeypatch.setattr(pretended, "probabilities", probabilities, raising=False)
  look(pretended, images, [Spot(0, 6, 12, "expression", 3.0)])
  look(pretended, images, [Spot(0, 7, 12, "expression", 3.0)])
  (_, apex, _, window), (_, later, _, latest) = seen
  np.testing.assert_array_equal(window, later)
  assert (window != apex).any() and (latest != later).any()


def test_the_face_that_was_followed_is_taken_and_no_other():
  (there,) = FaceDetector().find(face()[..., ::-1])
  assert _nearest([there], there.eyes + 5) is there
  assert _nearest([there], there.eyes + 2 * there.eye_distance) is None
  assert _nearest([there], np.full((2, 2), np.nan)) is None
  assert _nearest([], there.eyes) is None


def test_a_still_face_moves_by_nothing(pretended):
  (found,) = look(pretended, [face()] * 5, [Spot(0, 2, 4, "given", 0.0)])
  assert found.motion_px == pytest.approx(0, abs=0.01)
  assert not found.decision.any()


def test_pictures_are_those_of_onset_and_apex(pretended):
  spots = [Spot(1, 6, 9, "expression", 3.0)]
  (found,) = look(pretended, smiles(13), spots, amp=5)
  pictures = found.pictures
  assert pictures.onset.shape == pictures.apex.shape == (PICTURE, PICTURE, 3)
  assert pictures.magnified.shape == (PICTURE, PICTURE, 3) and pictures.amp == 5
  assert pictures.flow.shape == (PICTURE, PICTURE, 2)
  assert pictures.looked.shape == (PICTURE, PICTURE)
  # The mouth is where it moved: about (0.5, 0.8) of the crop, downwards.
  y, x = np.unravel_index(pictures.flow[..., 1].argmax(), (PICTURE, PICTURE))
  assert 0.3 < x / PICTURE < 0.7 and 0.65 < y / PICTURE < 0.95
  scale = 0.35 * PICTURE / 39  # Eyes are that much further apart than in the video.
  assert 1 < pictures.flow.max() < 3.5 * scale


def test_without_pictures_none_are_made(pretended):
  spots = [Spot(0, 6, 12, "expression", 3.0)]
  (found,) = look(pretended, smiles(13), spots, pictured=False)
  assert found.pictures is None and np.isfinite(found.probability).all()


def test_blinks_get_no_probabilities(pretended):
  spots = [Spot(0, 3, 5, "blink", 8.0), Spot(6, 9, 12, "expression", 3.0)]
  blink, other = look(pretended, smiles(13), spots)
  assert (blink.kind, blink.apex) == ("blink", 3)
  assert np.isnan(blink.probability).all() and not blink.decision.any()
  assert blink.motion_percent == 8.0 and blink.motion_px > 0
  assert np.isfinite(other.probability).all()


def test_no_face_at_the_onset(pretended):
  images = [wall()] * 5 + smiles(8)
  (found,) = look(pretended, images, [Spot(2, 6, 8, "given", 0.0)])
  assert np.isnan(found.probability).all() and found.pictures is None
  assert "no face at the onset" in found.notes
  assert "the face is lost in between" in found.notes


def test_what_makes_an_interval_doubtful_is_said(pretended):
  images = smiles(13)
  bright = np.clip(images[6] * 1.3, 0, 255).astype(np.uint8)
  images[6] = np.roll(bright, 9, axis=1)
  (found,) = look(pretended, images, [Spot(0, 6, 12, "given", 0.0)], fps=20)
  text = "; ".join(found.notes)
  for words in ("begins at the video's edge", "ends at", "low frame rate: 20 a second"):
    assert words in text
  assert "the light changed by +" in text and "the head moved by" in text
  (calm,) = look(pretended, smiles(15), [Spot(1, 7, 13, "given", 0.0)])
  assert calm.notes == ()


def test_a_small_face_is_said_to_be_small(pretended, monkeypatch):
  monkeypatch.setattr(pretended, "record_size", 224, raising=False)
  (found,) = look(pretended, smiles(13), [Spot(1, 7, 11, "given", 0.0)])
  assert any(note.startswith("face small: eyes") for note in found.notes)


def test_onset_and_apex_may_be_one_frame(pretended):
  (found,) = look(pretended, smiles(5), [Spot(2, 2, 2, "given", 0.0)])
  assert found.motion_px == pytest.approx(0, abs=0.1)
  np.testing.assert_array_equal(found.pictures.onset, found.pictures.apex)


@pytest.mark.parametrize("offset", [6, 9])
def test_networks_that_look_at_the_offset_see_it_or_the_onset(
  pretended, monkeypatch, offset
):
  images, seen = smiles(13), []
  images[9] = np.roll(images[9], 4, axis=0)
  monkeypatch.setattr(pretended, "needs", (*FRAMES, OFFSET, "flow"), raising=False)
  monkeypatch.setattr(
    pretended,
    "probabilities",
    lambda *given: seen.append(given) or np.zeros((1, len(AUS))),
    raising=False,
  )
  spots = [Spot(0, 6, offset, "given", 0.0)]
  (found,) = look(pretended, images, spots, pictured=False)
  ((onset, apex, _, _, last),) = seen
  stands_in = "no offset after the apex: the onset stands in for it" in found.notes
  assert stands_in == np.array_equal(onset, last) == (offset == 6)
  assert not np.array_equal(apex, last)


@pytest.mark.parametrize("head", HEADS)
def test_networks_see_the_head_as_in_their_records(pretended, monkeypatch, head):
  images, seen = [face()] * 9, []
  images[2:7] = [np.roll(face(), (1, 2), (0, 1))] * 5
  monkeypatch.setattr(
    measured, "optical_flow", lambda *pair: pretended_measure("", "")(*pair)[..., :2]
  )
  monkeypatch.setattr(pretended, "made", Made(64, head=head), raising=False)
  monkeypatch.setattr(
    pretended,
    "probabilities",
    lambda *given: seen.append(given) or np.zeros((1, len(AUS))),
    raising=False,
  )
  (found,) = look(pretended, images, [Spot(0, 4, 8, "expression", 3.0)])
  ((onset, apex, flow, window),) = seen
  moved = np.linalg.norm(flow[0, 12:-12, 12:-12, :2].astype(float), axis=-1).mean()
  changed = [
    np.abs(x[0].astype(int) - onset[0])[12:-12, 12:-12].mean() for x in (apex, window)
  ]
  if head == "kept":
    assert moved > 1 and min(changed) > 8
  else:
    assert moved < 0.3 and max(changed) < 4
  assert found.motion_px < 0.5  # The head's own does not count, in either case.
