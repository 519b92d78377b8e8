"""Simulated databases: their statistics, workbooks, faces, motion and truth."""

import dataclasses
from collections import Counter

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_prep.databases.annotations.clips import read_annotations
from data_prep.databases.annotations.fixes import FIXES
from data_prep.databases.layouts import LAYOUTS
from data_prep.simulator.camera.film import CROP_EYES, Film
from data_prep.simulator.camera.nuisance import KINDS
from data_prep.simulator.camera.studio import Studio
from data_prep.simulator.camera.warp import Pose
from data_prep.simulator.plan.counts import statistics
from data_prep.simulator.plan.population import (
  DATABASES,
  INTENSITY,
  Shown,
  at_rest,
  plan_database,
  positives,
)
from data_prep.simulator.portrait import action_units, canvas
from data_prep.simulator.portrait.face import Lighting, draw_portrait
from data_prep.simulator.portrait.identity import draw_identity
from data_prep.simulator.workbooks import au_text, workbook_bytes
from infusenet_jax.clips.faces.alignment import EYES_APART
from infusenet_jax.clips.faces.detector import FaceDetector
from infusenet_jax.clips.labels import AUS


@pytest.fixture(scope="module")
def studio() -> Studio:
  return Studio("casme2", 3, seed=0)


def _film(
  studio: Studio,
  nuisance: float,
  *shown: Shown,
  blink: float = 0.0,
  only: str = "all",
) -> Film:
  """A film of given action units, not cut off by a late apex."""
  clip = plan_database("casme2", 0.1, 0, "statistics")[0]
  clip = dataclasses.replace(
    clip, shown=shown, blink=blink, onset=1, apex=21, true_apex=21, offset=41
  )
  return Film(clip, studio, nuisance, only)


def _grey(picture: np.ndarray) -> np.ndarray:
  picture = picture if picture.ndim == 2 else picture[..., 1]
  return picture.astype(np.float32)


# -- The plan ------------------------------------------------------------------


@pytest.mark.parametrize("database", DATABASES)
def test_full_size_has_the_published_counts(database):
  known = statistics()[database]
  clips = plan_database(database, 1.0, 3, "statistics")
  patterns = Counter("+".join(map(str, clip.labels)) or "none" for clip in clips)
  assert patterns == known["patterns"]
  assert positives(clips) == {au: known["positives"][f"AU{au}"] for au in AUS}
  sizes = Counter(clip.subject for clip in clips)
  assert sorted(sizes.values(), reverse=True) == known["clips_per_subject"]
  offsets = [clip.apex - clip.onset for clip in clips]
  for name, share in (("min", 0), ("p10", 0.1), ("p50", 0.5), ("p90", 0.9), ("max", 1)):
    assert abs(np.quantile(offsets, share) - known["apex_offset"][name]) <= 1
  assert all(clip.onset <= clip.apex < clip.offset for clip in clips)
  assert all(clip.onset < clip.true_apex <= clip.offset for clip in clips)


def test_the_six_databases_hold_2031_clips_and_2521_positives():
  plans = [plan_database(key, 1.0, 0, "statistics") for key in DATABASES]
  assert sum(map(len, plans)) == 2031
  assert sum(sum(positives(clips).values()) for clips in plans) == 2521


@pytest.mark.parametrize("database", DATABASES)
def test_small_scales_choose_in_proportion(database):
  clips = plan_database(database, 0.15, 0, "statistics")
  assert len(clips) == round(0.15 * statistics()[database]["clips"])
  full = statistics()[database]["positives"]
  for au, count in positives(clips).items():
    assert abs(count - 0.15 * full[f"AU{au}"]) <= 3
  assert len(plan_database(database, 1e-6, 0, "statistics")) == 6


@pytest.mark.parametrize("database", DATABASES)
def test_balanced_labels_show_each_au_equally_often(database):
  clips = plan_database(database, 0.3, 0, "balanced")
  assert {len(clip.labels) for clip in clips} == {1, 2}
  counts = positives(clips).values()
  assert max(counts) - min(counts) <= 2


@pytest.mark.parametrize("database", DATABASES)
def test_names_are_unique_and_none_has_a_known_fix(database):
  clips = plan_database(database, 1.0, 0, "statistics")
  names = [(clip.subject, clip.name) for clip in clips]
  assert len(set(names)) == len(names)
  assert not set(names) & set(FIXES.get(database, {}))


def test_peaks_lie_in_the_stated_range_and_sides_differ():
  clips = [clip for key in DATABASES for clip in plan_database(key, 0.3, 0, "balanced")]
  shown = [s for clip in clips for s in clip.shown if s.au in clip.labels]
  peaks = np.array([max(s.left, s.right) for s in shown])
  assert peaks.min() >= INTENSITY[0]
  assert peaks.max() <= INTENSITY[1]
  assert 0.8 < np.median(peaks) < 1.8
  assert np.mean([s.left != s.right for s in shown]) > 0.95
  letters = Counter(s.letter for s in shown)
  assert min(letters["L"], letters["R"]) > 0.02 * len(shown)


def test_no_nuisance_means_exact_apexes():
  clips = plan_database("samm", 0.5, 0, "statistics", nuisance=0.0)
  assert all(clip.true_apex == max(clip.apex, clip.onset + 1) for clip in clips)
  clips = plan_database("samm", 0.5, 0, "statistics", nuisance=1.0)
  assert np.mean([clip.true_apex != clip.apex for clip in clips]) > 0.5


# -- Workbooks -----------------------------------------------------------------


@pytest.mark.parametrize("database", DATABASES)
def test_the_reader_finds_what_was_planned(database, tmp_path):
  clips = plan_database(database, 0.4, 1, "statistics")
  path = tmp_path / LAYOUTS[database].workbooks[0]
  path.write_bytes(workbook_bytes(clips, LAYOUTS[database]))
  assert path.read_bytes() == workbook_bytes(clips, LAYOUTS[database])
  read = read_annotations(path, LAYOUTS[database])
  assert read.problems == []
  assert read.fixes == []
  found = {
    (c.subject, c.name): (c.onset, c.apex, c.offset, c.labels) for c in read.clips
  }
  assert found == {
    (c.subject, c.name): (
      *(c.onset, c.apex, c.offset),
      tuple(int(au in c.labels) for au in AUS),
    )
    for c in clips
  }


@pytest.mark.parametrize("database", DATABASES)
def test_a_reader_sees_faces_at_rest_as_the_same_clips_without_aus(database, tmp_path):
  plan = plan_database(database, 0.1, 1, "balanced")
  clips = [at_rest(clip) for clip in plan]
  path = tmp_path / LAYOUTS[database].workbooks[0]
  path.write_bytes(workbook_bytes(clips, LAYOUTS[database]))
  read = read_annotations(path, LAYOUTS[database], fix=False)
  assert read.problems == []
  assert [(c.subject, c.name, c.onset, c.apex, c.offset) for c in read.clips] == [
    (c.subject, c.name, c.onset, c.apex, c.offset) for c in plan
  ]
  assert not any(any(clip.labels) for clip in read.clips)
  assert {clip.emotion for clip in read.clips} == {"others"}


def test_aus_are_spelled_as_each_database_spells_them():
  def texts(database):
    return [au_text(c) for c in plan_database(database, 1.0, 0, "statistics")]

  assert any("(k)" in text for text in texts("fourd"))
  assert any(" + " in text for text in texts("samm"))
  assert any(text == "?" for text in texts("casme2"))
  assert any(text.startswith(("L", "R")) for text in texts("casme3a"))


# -- Faces ---------------------------------------------------------------------


def test_the_detector_finds_the_eyes_where_they_are():
  detector = FaceDetector()
  for database in ("casme", "samm", "casme3a"):
    clip = plan_database(database, 0.05, 5, "statistics")[0]
    film = Film(clip, Studio(database, clip.number, 5), 1.0)
    (face,) = detector.find(film.frame(clip.onset))
    eyes = film.eyes(clip.onset)
    worse = np.linalg.norm(face.eyes - eyes, axis=1).max()
    assert worse < 0.08 * np.linalg.norm(eyes[1] - eyes[0])


@pytest.mark.parametrize("roll", [0.0, 0.2, -0.2])
def test_true_eyes_lie_on_the_pupils(studio, roll):
  film = _film(studio, 0.0)
  film.sitting = Pose(right=0.1, down=-0.05, size=0.05, roll=roll, yaw=0.1, pitch=0.05)
  frame = _grey(film.frame(1)).astype(np.float32)
  eyes, scale = film.eyes(1), studio.placement.scale
  assert np.array_equal(film.truth().eyes, eyes)
  y, x = np.mgrid[: frame.shape[0], : frame.shape[1]]
  for eye in eyes:
    near = np.hypot(x - eye[0], y - eye[1]) < 0.12 * scale
    dark = near * np.maximum(frame[near].min() + 40 - frame, 0)
    pupil = np.array([(dark * x).sum(), (dark * y).sum()]) / dark.sum()
    assert np.linalg.norm(pupil - eye) < 0.04 * scale
  turned = studio.placement.roll + roll
  assert np.arctan2(*(eyes[1] - eyes[0])[::-1]) == pytest.approx(turned, abs=0.05)


def test_subjects_look_different_and_the_same_twice(studio):
  again, other = Studio("casme2", 3, seed=0), Studio("casme2", 4, seed=0)
  assert np.array_equal(again.portrait.skin, studio.portrait.skin)
  assert np.abs(other.portrait.skin - studio.portrait.skin).mean() > 0.01


def test_light_from_a_side_brightens_the_surfaces_that_face_it():
  who = draw_identity(np.random.default_rng(0))
  plain, moved = (
    draw_portrait(who, Lighting((x, -0.5, 1.0)), np.random.default_rng(0))
    for x in (0.0, 0.1)
  )
  ratio = moved.skin.sum(-1) / np.maximum(plain.skin.sum(-1), 1e-3)
  x, y = canvas.grid()
  cheek = (np.abs(np.abs(x) - 0.7) < 0.1) & (np.abs(y - 0.5) < 0.1)
  assert ratio[cheek & (x > 0)].mean() > ratio[cheek & (x < 0)].mean() + 0.01
  # The clips' relighting is the derivative of the drawing's.
  predicted = 1 + 0.1 / np.hypot(0.5, 1.0) * plain.relight[..., 0]
  assert np.corrcoef(ratio[cheek], predicted[cheek])[0, 1] > 0.95


# -- Action units --------------------------------------------------------------

# AU -> a point of the picture's right side (from an identity) and the direction in
# which FACS says that it moves: to the right of the picture, down.
DIRECTIONS = {
  1: (lambda who: (0.2, who.brow_y), (0, -1)),
  2: (lambda who: (0.8, who.brow_y), (0, -1)),
  4: (lambda who: (0.25, who.brow_y), (-1, 1)),
  5: (lambda who: (0.5, -who.eye_height), (0, -1)),
  6: (lambda who: (0.62, 0.42), (0, -1)),
  7: (lambda who: (0.5, who.eye_height), (0, -1)),
  9: (lambda who: (who.nose_width, who.nose_tip - 0.1), (0, -1)),
  10: (lambda who: (0.2, who.mouth - who.upper_lip), (0, -1)),
  12: (lambda who: (who.mouth_width, who.mouth), (1, -1)),
  14: (lambda who: (who.mouth_width + 0.25, who.mouth), (-1, 0)),
  15: (lambda who: (who.mouth_width, who.mouth), (0, 1)),
  17: (lambda who: (0.1, who.chin - 0.28), (0, -1)),
}


@settings(deadline=None, max_examples=6)
@given(st.integers(0, 10**6), st.sampled_from(AUS))
def test_action_units_move_skin_as_facs_says(seed, au):
  who = draw_identity(np.random.default_rng(seed))
  right, left = (action_units.displacement(au, who, side) for side in (1, -1))
  place, direction = DIRECTIONS[au]
  x, y = place(who)
  column = round((x - canvas.LEFT) * canvas.PIXELS / action_units.STEP)
  row = round((y - canvas.TOP) * canvas.PIXELS / action_units.STEP)
  moved = right[row, column]
  assert np.linalg.norm(moved) > 0.4
  cosine = moved @ direction / np.linalg.norm(moved) / np.linalg.norm(direction)
  assert cosine > 0.8
  # The other side is the mirror image and barely shares skin.
  assert np.allclose(np.linalg.norm(right, axis=-1).max(), 1)
  overlap = (np.linalg.norm(right, axis=-1) * np.linalg.norm(left, axis=-1)).max()
  assert overlap < 0.5
  # Steeper than 1 per 3 px of a 224 px crop would fold the skin over.
  slopes = [np.abs(np.diff(right, axis=axis)).max() for axis in (0, 1)]
  per_unit = max(slopes) * canvas.PIXELS / action_units.STEP
  assert per_unit * INTENSITY[1] / CROP_EYES < 1


def test_a_one_sided_action_unit_moves_one_side(studio):
  film = _film(studio, 0.0, Shown(12, left=0.0, right=2.0))
  flow = film.truth().au_flow.astype(np.float32)
  middle = round((studio.placement.centre[0] - film.truth().left) / film.truth().step)
  speed = np.linalg.norm(flow, axis=-1)
  assert speed[:, middle:].max() > 10 * speed[:, : middle - 5].max()


def test_intensity_is_the_peak_in_a_224_px_crop(studio):
  assert pytest.approx(224 * EYES_APART) == CROP_EYES
  for peak in (0.3, 1.0, 3.0):
    film = _film(studio, 0.0, Shown(4, left=peak, right=0.8 * peak))
    flow = film.truth().au_flow.astype(np.float32)
    longest = np.linalg.norm(flow, axis=-1).max()
    assert longest * CROP_EYES / studio.placement.scale == pytest.approx(peak, rel=0.1)


def test_motion_starts_at_the_onset_and_peaks_at_the_apex(studio):
  film = _film(studio, 1.0, Shown(1, 1.0, 1.0))
  course = [film.intensity(n) for n in range(1, 42)]
  assert course[0] == 0
  assert int(np.argmax(course)) == 20
  assert np.all(np.diff(course[:21]) >= 0)
  assert np.all(np.diff(course[20:]) <= 0)


# -- Pictures and truth --------------------------------------------------------


def test_without_nuisance_nothing_but_the_face_changes(studio):
  still = _film(studio, 0.0)
  assert np.array_equal(still.frame(1), still.frame(21))
  moving = _film(studio, 0.0, Shown(12, 1.5, 1.5))
  changed = np.abs(_grey(moving.frame(1)) - _grey(moving.frame(21))) > 0
  x, y = studio.placement.to_face(*np.meshgrid(*map(np.arange, changed.shape[::-1])))
  assert changed[(y > 0.4) & (y < 1.5) & (np.abs(x) < 1)].mean() > 0.1
  assert not changed[y < -0.3].any()


def test_with_nuisance_still_clips_change_but_not_much(studio):
  film = _film(studio, 1.0)
  difference = np.abs(_grey(film.frame(1)) - _grey(film.frame(21)))
  assert 0.3 < difference.mean() < 12


def test_each_kind_of_nuisance_alone_is_that_of_all_together(studio):
  every = _film(studio, 2.0).nuisance
  lighting, motion, noise = (_film(studio, 2.0, only=k).nuisance for k in KINDS)
  times = (0.05, 0.1, 0.3)
  for t in times:
    assert motion.pose(t) == every.pose(t) != lighting.pose(t) == noise.pose(t)
    assert np.array_equal(lighting.gain(t, 4), every.gain(t, 4))
    assert np.array_equal(lighting.added_light(t), every.added_light(t))
    for other in (motion, noise):
      assert (other.gain(t, 4) == 1).all() and not other.added_light(t).any()
  assert (noise.noise, noise.quality) == (every.noise, every.quality)
  for other in (lighting, motion):
    assert (other.noise, other.quality) == (0, 100)


@pytest.mark.parametrize("only", KINDS)
def test_a_still_face_changes_by_one_kind_of_nuisance_alone(studio, only):
  film = _film(studio, 1.0, only=only)
  assert np.abs(_grey(film.frame(1)) - _grey(film.frame(21))).mean() > 0.1
  truth = film.truth()
  assert not truth.moving.any() and not truth.au_flow.any()
  assert truth.total_flow.any() == (only == "motion")


@pytest.mark.parametrize("nuisance", [0.0, 1.0])
def test_truth_is_the_motion_in_the_pictures(studio, nuisance):
  film = _film(studio, nuisance, Shown(4, 2.0, 1.5), Shown(12, 1.0, 2.0))
  # Keep the head's motion, take away what is not motion.
  steady = dataclasses.replace(
    film.nuisance.light, amplitudes=0 * film.nuisance.light.amplitudes
  )
  film.nuisance = dataclasses.replace(
    film.nuisance, light=steady, flicker=0.0, noise=0.0
  )
  film.light = 0 * film.light
  first, second = _grey(film.frame(1)), _grey(film.frame(21))
  truth = film.truth()
  y, x = np.mgrid[: first.shape[0], : first.shape[1]].astype(np.float32)
  at = (x - truth.left) / truth.step, (y - truth.top) / truth.step
  flow = cv2.remap(truth.total_flow.astype(np.float32), *at, cv2.INTER_LINEAR)
  back = cv2.remap(second, x + flow[..., 0], y + flow[..., 1], cv2.INTER_CUBIC)
  u, v = studio.placement.to_face(x, y)
  skin = (np.abs(u) < 0.85) & (v > -0.7) & (v < 1.6)
  skin &= ~((np.abs(v) < 0.2) & (np.abs(np.abs(u) - 0.5) < 0.35))
  skin &= np.linalg.norm(flow, axis=-1) > 0.3
  before = np.sqrt(np.mean((second - first)[skin] ** 2))
  after = np.sqrt(np.mean((back - first)[skin] ** 2))
  assert skin.sum() > 1000
  # Rounding to whole grey levels alone leaves 0.41.
  assert after < 0.65
  assert after < 0.4 * before
  assert truth.moving.any()
  assert not truth.moving.all()
