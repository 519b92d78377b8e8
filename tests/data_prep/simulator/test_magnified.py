import cv2
import numpy as np

from data_prep.simulator.magnified import PEAKS, write_faces
from data_prep.simulator.plan.population import plan_database


def test_a_clip_gives_two_frames_and_a_truth_that_moves_further(tmp_path):
  write_faces(plan_database("casme2", 0.02, 0, "balanced", 0.0)[0], tmp_path)
  assert len(list(tmp_path.iterdir())) == 3 * len(PEAKS)
  for amp in PEAKS:
    first, second, truth = (
      np.float32(cv2.imread(str(next(tmp_path.glob(f"*-{amp}-{role}.png")))))
      for role in ("first", "second", "truth")
    )
    assert first.shape == (224, 224, 3)
    change, magnified = (np.abs(x - first).sum() for x in (second, truth))
    assert magnified > 1.5 * change > 0
