import cv2
import numpy as np

from data_prep.simulator.magnified import write_faces
from data_prep.simulator.plan.population import plan_database
from infusenet_jax.clips.schema import SCENE_PEAKS, SCENE_ROLES


def test_a_clip_gives_two_frames_and_a_truth_that_moves_further(tmp_path):
  write_faces(plan_database("casme2", 0.02, 0, "balanced", 0.0)[0], tmp_path)
  assert len(list(tmp_path.iterdir())) == 3 * len(SCENE_PEAKS)
  for amp in SCENE_PEAKS:
    first, second, truth = (
      np.float32(cv2.imread(str(next(tmp_path.glob(f"*-{amp}-{role}.png")))))
      for role in SCENE_ROLES
    )
    assert first.shape == (224, 224, 3)
    change, magnified = (np.abs(x - first).sum() for x in (second, truth))
    assert magnified > 1.5 * change > 0
