"""Skin that bulges and folds: its relief, and what the lamp makes of it."""

import dataclasses

import cv2
import numpy as np
import pytest

from data_prep.simulator.camera.film import CROP_EYES, Film
from data_prep.simulator.camera.studio import Studio
from data_prep.simulator.plan.population import Shown, plan_database
from data_prep.simulator.portrait import canvas
from data_prep.simulator.portrait.action_units import STEP, displacement
from data_prep.simulator.portrait.face import Lighting, draw_portrait
from data_prep.simulator.portrait.identity import draw_identity
from data_prep.simulator.portrait.relief import relief
from infusenet_jax.clips.labels import AUS

# Action units whose motions are more alike than those of others.
ALIKE = ((6, 7), (9, 4), (10, 12), (14, 12), (15, 17))
SIDES = canvas.SIDES


@pytest.fixture(scope="module")
def studio() -> Studio:
  return Studio("casme2", 3, seed=0)


@pytest.fixture(scope="module")
def people():
  return [draw_identity(np.random.default_rng(seed)) for seed in range(4)]


def _film(studio: Studio, *shown: Shown, nuisance: float = 0.0) -> Film:
  clip = plan_database("casme2", 0.1, 0, "statistics")[0]
  clip = dataclasses.replace(
    clip, shown=shown, blink=0.0, onset=1, apex=21, true_apex=21, offset=41
  )
  return Film(clip, studio, nuisance)


def _both(function, au: int, who) -> np.ndarray:
  """A field of both sides, blurred by 3 px of a 224 px crop, as one vector."""
  field = sum(function(au, who, side) for side in SIDES)
  return cv2.GaussianBlur(field, (0, 0), 3 / CROP_EYES * canvas.PIXELS / STEP).ravel()


def _alike(one: np.ndarray, other: np.ndarray) -> float:
  return float(one @ other / np.linalg.norm(one) / np.linalg.norm(other))


@pytest.mark.parametrize("pair", ALIKE)
def test_relief_differs_more_between_alike_aus_than_between_people(pair, people):
  reliefs = {au: [_both(relief, au, who) for who in people] for au in pair}
  same_au = [
    _alike(mine, others)
    for fields in reliefs.values()
    for i, mine in enumerate(fields)
    for others in fields[:i]
  ]
  same_person = [_alike(*fields) for fields in zip(*reliefs.values(), strict=True)]
  assert max(same_person) < min(same_au)
  assert np.mean(same_person) < 0.5 * np.mean(same_au)


def test_every_au_changes_the_relief_and_people_differ_in_how_much(people):
  for au in AUS:
    heights = [np.abs(_both(relief, au, who)).max() for who in people]
    assert min(heights) > 0.1
    assert max(heights) > 1.1 * min(heights)
    assert max(heights) < 4


@pytest.mark.parametrize("au", AUS)
def test_relief_lies_where_its_muscles_pull_and_on_its_side(au, people):
  x, _ = canvas.grid(STEP)
  for side in SIDES:
    height = np.abs(relief(au, people[0], side))
    moved = np.linalg.norm(displacement(au, people[0], side), axis=-1)
    assert height[side * x < -0.1].max() == 0
    assert height[np.abs(x) > people[0].head_width].max() == 0
    # Skin bulges and folds where it is compressed, also a little beside it.
    near = cv2.dilate(moved, np.ones((2 * round(0.2 * 72) + 1,) * 2)) > 0.1
    assert height[near].sum() > 0.9 * height.sum()


def test_a_lamp_from_the_other_side_reverses_the_shading():
  """On a ridge down the chin, lit by lamps with hardly any ambient light."""
  who = draw_identity(np.random.default_rng(0))
  x, y = canvas.grid(STEP)
  hump = 0.01 * canvas.bump(x, y, 0.0, who.chin - 0.28, 0.08, 0.2)
  left, right = (
    draw_portrait(
      who, Lighting((toward, 0.0, 1.0), ambient=1e-3), np.random.default_rng(0)
    ).light_on(hump)
    for toward in (-0.7, 0.7)
  )
  flank = hump > 0.2 * hump.max()
  assert left[flank & (x < -0.04)].mean() > 0.01  # The flank that faces the lamp.
  assert left[flank & (x > 0.04)].mean() < -0.01
  assert np.corrcoef(left[flank], right[flank])[0, 1] < -0.75


def test_hollows_lose_light_from_all_sides_and_hair_none():
  who = dataclasses.replace(draw_identity(np.random.default_rng(1)), fringe=0.9)
  portrait = draw_portrait(
    who, Lighting((0.0, 0.0, 1.0), key=0.0, ambient=0.9), np.random.default_rng(0)
  )
  x, y = canvas.grid(STEP)
  for place in (0.6, -0.9):  # Beside the nose; hair of the fringe.
    light = portrait.light_on(-0.01 * canvas.bump(x, y, 0.3, place, 0.03, 0.03))
    assert light.min() < -0.03 if place > 0 else np.abs(light).max() < 1e-3


def test_light_is_proportional_to_strength_and_nothing_at_rest(studio):
  weak, strong = (_film(studio, Shown(12, peak, peak)) for peak in (0.2, 0.4))
  assert np.abs(weak.light).max() > 0.005
  np.testing.assert_allclose(strong.light, 2 * weak.light, atol=2e-3)
  assert not _film(studio).light.any()
  film = _film(studio, Shown(12, 3.0, 3.0))
  plain = _film(studio)
  assert np.array_equal(film.frame(1), plain.frame(1))  # The onset.


def test_strength_is_cut_for_motion_and_relief_alike(studio):
  one, twice = _film(studio, Shown(6, 3.0, 3.0)), _film(studio, Shown(6, 6.0, 6.0))
  np.testing.assert_allclose(one.field, twice.field, atol=1e-3)
  np.testing.assert_allclose(one.light, twice.light, atol=1e-2)


@pytest.mark.parametrize("au", AUS)
def test_truth_says_where_frames_differ_by_more_than_motion(studio, au):
  film = _film(studio, Shown(au, 2.5, 2.2))
  first, second = (film.frame(n)[..., 1].astype(np.float32) for n in (1, 21))
  truth = film.truth()
  assert truth.appearance.shape == truth.moving.shape
  y, x = np.mgrid[: first.shape[0], : first.shape[1]].astype(np.float32)
  at = (x - truth.left) / truth.step, (y - truth.top) / truth.step
  flow = cv2.remap(truth.total_flow.astype(np.float32), *at, cv2.INTER_LINEAR)
  back = cv2.remap(second, x + flow[..., 0], y + flow[..., 1], cv2.INTER_CUBIC)
  changed = cv2.remap(np.float32(truth.appearance), *at, cv2.INTER_LINEAR)
  u, v = studio.placement.to_face(x, y)
  eyes = (np.abs(v) < 0.22) & (np.abs(np.abs(u) - 0.5) < 0.36)
  skin = (np.abs(u) < 0.95) & (v > -0.75) & (v < 1.75) & ~eyes
  left = np.abs(back - first)
  inside, outside = left[skin & (changed > 0.9)], left[skin & (changed == 0)]
  assert 100 < len(inside) < 0.4 * len(outside)
  assert inside.mean() > 2 * outside.mean()


def test_faces_at_rest_change_nowhere(studio):
  assert not _film(studio, nuisance=1.0).truth().appearance.any()
