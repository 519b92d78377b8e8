"""What lies on disk between `data_prep`, which writes it, and training, which reads it.

Records are in OUT/<database>/VERSION; beside those of simulated databases lies where
their faces truly moved. <database> is the key of one of the six, or the name of a
database of the user's own. metadata.json says of all records of a database:

  simulated, source: whether they were drawn, and how.
  clips, subjects: how many there are.
  published_clips, published_subjects: how many the whole database has; null where that
    means nothing, of simulated and of own databases. Results on fewer are not
    comparable with those of others.
  lacking: subject/clip of every clip that is known by name and is not there.
  counts: what differs from the published counts, in words.
  problems, notes, fixes: what was left out, what else to know, what was corrected.
  centred: clips cropped around the frame's centre, whose records say aligned = False.
  recipe, size, cropped, faces, face_model, fingerprint: what the records depend on.
"""

from typing import TYPE_CHECKING

import numpy as np

from infusenet_jax.clips.labels import AUS

if TYPE_CHECKING:
  from tensorflow_datasets.features import FeaturesDict

VERSION = "1.0.0"
SPLIT = "clips"  # "all" is TFDS's word for the union of a dataset's splits.
FRAMES = ("onset", "apex", "window_apex")
NAMES = ("database", "subject", "clip")  # Together they name a clip.
TRUTH = "truth.npz"  # Beside the records of simulated databases.
# Scenes for measuring magnifiers, files NAME-AMP-ROLE.png: by amp the largest motion
# between the first and the second frame, in pixels.
SCENE_PEAKS = {5: 0.8, 10: 0.5, 20: 0.3}
SCENE_ROLES = ("first", "second", "truth")
GRID = 56  # Cells along each side of a crop, of the truth and of maps beside it.


def record_features(size: int) -> "FeaturesDict":
  """What a clip's record holds; images and flow are (size, size, 3).

  `flow` is u, v and optical strain in pixels of the crop, not yet scaled to [0, 1].
  """
  import tensorflow_datasets as tfds  # Slow to import, and names alone need it not.

  def image():
    return tfds.features.Image(shape=(size, size, 3), encoding_format="png")

  return tfds.features.FeaturesDict(
    {
      **{name: image() for name in FRAMES},
      "flow": tfds.features.Tensor(shape=(size, size, 3), dtype=np.float16),
      "labels": tfds.features.Tensor(shape=(len(AUS),), dtype=np.uint8),
      "aus": tfds.features.Text(),
      "emotion": tfds.features.Text(),
      **{name: tfds.features.Text() for name in NAMES},
      "onset_frame": np.int32,
      "apex_frame": np.int32,
      "window_apex_frame": np.int32,
      "offset_frame": np.int32,
      "fps": np.float32,
      "aligned": np.bool_,
    }
  )
