"""A real face that is moved by a known field: the motion is measured as it was made."""

import numpy as np
import pytest

from infusenet_jax.predict.analysis import analyse
from tests.predict import astronaut
from tests.predict.films import PretendedNetworks


@pytest.mark.slow
@pytest.mark.parametrize(
  ("au", "pixels"),
  [
    (4, 1.0),
    *(pytest.param(*x, marks=pytest.mark.release) for x in ((4, 2.0), (12, 1.0))),
    (12, 2.0),
  ],
)
def test_motion_of_a_photograph(au, pixels):
  pytest.importorskip("skimage")
  frames = astronaut.animate(au, pixels)
  given = [(astronaut.ONSET, astronaut.APEX, astronaut.OFFSET)]
  networks = PretendedNetworks()
  report = analyse(frames, astronaut.FPS, networks=networks, intervals=given)
  (found,) = report.intervals
  # A region's mean is less than the largest motion in it.
  assert 0.4 * pixels < found.motion_px < 1.1 * pixels
  v = found.pictures.flow[..., 1]
  y, _ = np.unravel_index(np.abs(v).argmax(), v.shape)
  assert (y < 0.45 * len(v)) if au == 4 else (y > 0.6 * len(v))
