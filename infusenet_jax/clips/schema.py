"""The format of records on disk, which `data_prep` writes and training reads.

Records are in OUT/<database>/VERSION, where <database> is the key of one of the six or
the name of a database of the user's own. Simulated databases have in addition a file
truth.npz: where their faces truly changed. metadata.json describes all records of one
database:

  simulated, source: whether the clips were drawn by the simulator, and with what
    parameters.
  clips, subjects: how many there are.
  published_clips, published_subjects: how many the whole database has; null for
    simulated databases and users' own, which have no published counts. Results on fewer
    clips are not comparable with published ones.
  lacking: subject/clip of every clip that is known by name and is not there.
  counts: what differs from the published counts, in words.
  problems, notes, fixes: what was left out, what else to know, what was corrected.
  centred: how many clips were cropped around the frame's centre because no face was
    found; their records say aligned = False.
  recipe, size, cropped, faces, face_model, fingerprint: what the records depend on.
  head: "removed" where the head's own motion was taken out of flow and apexes; absent
    where it was kept.
  offset: true where records hold the frame at the clip's offset, too; else absent.
"""

from typing import TYPE_CHECKING

import numpy as np

from infusenet_jax.clips.labels import AUS
from infusenet_jax.runtime.errors import UserError

if TYPE_CHECKING:
  from types import ModuleType

  from tensorflow_datasets.features import FeaturesDict

VERSION = "1.0.0"
SPLIT = "clips"  # Not "all", which TFDS reserves for the union of a dataset's splits.
FRAMES = ("onset", "apex", "window_apex")
OFFSET = "offset"  # A further frame that records may hold: the end of the expression.
HEADS = ("kept", "removed")  # What becomes of the head's own motion.
# Fields that metadata leave out where they are as here.
UNSAID = {"head": HEADS[0], "offset": False}
NAMES = ("database", "subject", "clip")  # Together they name a clip.
TRUTH = "truth.npz"  # Where faces truly changed; beside records of simulated databases.
# Masks in it: where action units moved the skin, and where bulges and folds of the skin
# reflected more or less light.
TRUE_MASKS = ("moving", "appearance")
# Scenes for measuring magnifiers are files NAME-AMP-ROLE.png. For each amplification:
# the largest motion between the first and the second frame, in pixels.
SCENE_PEAKS = {5: 0.8, 10: 0.5, 20: 0.3}
SCENE_ROLES = ("first", "second", "truth")
GRID = 56  # Cells along each side of a crop in maps: of truth and of what networks see.


def array_record() -> "ModuleType":
  """The module that reads and writes the files of records.

  Raises:
    UserError: it is not installed; there is none for Windows.
  """
  try:
    from array_record.python import array_record_module
  except ModuleNotFoundError as error:
    raise UserError(
      "records need the package array-record, which is not installed and has no build"
      " for Windows; build them and train on Linux or macOS (on Windows within WSL):"
      " python -m infusenet_jax.predict runs without it"
    ) from error
  return array_record_module


def frames_held(offset: bool) -> tuple[str, ...]:
  """Names the frames that records hold, without or with the offset."""
  return (*FRAMES, OFFSET) if offset else FRAMES


def record_features(size: int, offset: bool = False) -> "FeaturesDict":
  """Describes the fields of a clip's record for TFDS; images are (size, size, 3).

  `flow`, (size, size, 3), is u and v in pixels of the crop and the optical strain, not
  yet scaled to [0, 1].

  Args:
    size: of images and flow, pixels.
    offset: whether the frame at the offset is held as well.
  """
  import tensorflow_datasets as tfds  # Slow to import; the names above do not need it.

  def image():
    return tfds.features.Image(shape=(size, size, 3), encoding_format="png")

  return tfds.features.FeaturesDict(
    {
      **{name: image() for name in frames_held(offset)},
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
