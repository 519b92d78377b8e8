"""The head's own motion is found and taken away; what muscles move stays."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infusenet_jax.clips.faces.alignment import EYES_APART
from infusenet_jax.clips.flow import head
from infusenet_jax.clips.flow.head import (
  basis,
  crop_without_head,
  flow_without_head,
  head_motion,
  places,
)
from tests.data_prep.trees import draw_frame

SIZE = 112
EYES = EYES_APART * SIZE  # Pixels between the eyes.
small = st.floats(-1, 1)
quick = settings(max_examples=40, deadline=None)


def moved(numbers) -> np.ndarray:
  """A head's motion (SIZE, SIZE, 2): shift up to 2 px, the rest 1 px at the eyes."""
  numbers = np.array(numbers).reshape(4, 2) * [[2], [1], [1], [1]]
  return (basis(SIZE) @ numbers).reshape(SIZE, SIZE, 2).astype(np.float32)


def local(x: float, y: float, angle: float, sigma: float = 0.2) -> np.ndarray:
  """A motion of 1 px about a point of the face, (SIZE, SIZE, 2)."""
  u, v = places(SIZE)
  bump = head.bump(u, v, x, y, sigma, sigma).reshape(SIZE, SIZE, 1)
  return (bump * [np.cos(angle), np.sin(angle)]).astype(np.float32)


@quick
@given(st.lists(small, min_size=8, max_size=8))
def test_a_rigid_head_is_found_to_a_few_thousandths_of_a_pixel(numbers):
  flow = moved(numbers)
  np.testing.assert_allclose(head_motion(flow), flow, atol=4e-3)


@quick
@given(
  st.lists(small, min_size=8, max_size=8),
  st.floats(-0.8, 0.8),
  st.floats(-0.5, 1.5),
  st.floats(0, 2 * np.pi),
)
def test_what_one_muscle_moves_is_kept(numbers, x, y, angle):
  rigid, own = moved(numbers), local(x, y, angle)
  rest = rigid + own - head_motion(rigid + own)
  assert (rest * own).sum() > 0.8 * (own**2).sum()


def test_both_halves_of_a_smile_are_kept():
  own = local(0.4, 1.1, -0.8) + local(-0.4, 1.1, np.pi + 0.8)
  own += local(0.6, 0.4, -1.5) + local(-0.6, 0.4, -1.5)
  rest = own - head_motion(own)
  assert (rest * own).sum() > 0.9 * (own**2).sum()


def test_flow_and_crop_lose_the_head_alike():
  """What the flow says of a point, the crop without the head shows there."""
  rigid, own = moved([0.5, -0.3, 0, 0.8, -0.8, 0, 0.4, 0]), local(0.3, 0.5, 1.0)
  y, x = np.mgrid[:SIZE, :SIZE].astype(np.float32)
  # The muscle moves the skin first, then the head all of it.
  at = x + own[..., 0], y + own[..., 1]
  flow = own + cv2.remap(rigid, *at, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
  inner = slice(4, -4), slice(4, -4)
  exact = flow_without_head(flow, rigid)
  np.testing.assert_allclose(exact[inner], own[inner], atol=1e-3)
  assert np.abs(flow - rigid - own)[inner].max() > 5e-3  # The plain difference is off.


@pytest.mark.parametrize("shift", [(0, 0), (3, -1)])
def test_an_even_flow_is_all_head(shift):
  flow = np.full((SIZE, SIZE, 2), shift, np.float32)
  np.testing.assert_allclose(head_motion(flow), flow, atol=1e-4)


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_a_flow_that_is_not_finite_is_refused(wrong):
  flow = np.zeros((SIZE, SIZE, 2), np.float32)
  flow[3, 5, 1] = wrong
  with pytest.raises(ValueError, match="not finite"):
    head_motion(flow)


def test_another_shape_is_refused():
  with pytest.raises(ValueError, match=r"\(4, 4, 3\); expected \(S, S, 2\)"):
    head_motion(np.zeros((4, 4, 3)))


def test_a_crop_is_moved_back_to_where_it_came_from():
  first, later = draw_frame(0), draw_frame(1.5)
  shift = np.zeros((64, 64, 2), np.float32)
  np.testing.assert_array_equal(crop_without_head(first, shift), first)
  shift[..., 0] = 1.5
  error = np.abs(crop_without_head(later, shift).astype(int) - first)[:, 4:-4]
  assert error.max() <= 3
