"""A clip is shown to networks alike, whether it comes as a video or as a record."""

import cv2
import numpy as np
import pytest

from data_prep.databases.frames import number_frames
from data_prep.simulator.writer import Parameters, simulate
from data_prep.sources import open_root
from infusenet_jax.clips.frames.images import read_frame
from infusenet_jax.clips.schema import frames_held
from infusenet_jax.predict import analysis
from infusenet_jax.training.trained import Made
from tests.data_prep.builds import SIZE, build, records
from tests.predict.films import PretendedNetworks, write_film


class Shown(PretendedNetworks):
  """Keeps what it is shown."""

  record_size = SIZE

  def probabilities(self, onset, apex, flow, window_apex=None, offset=None):
    self.seen = onset, apex, flow, window_apex, offset
    return super().probabilities(onset, apex, flow, window_apex)


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
  root = tmp_path_factory.mktemp("simulated")
  simulate(root, Parameters(scale=0.01, seed=3, frames="key"), workers=2)
  return root


@pytest.mark.slow
@pytest.mark.parametrize(
  ("key", "head", "offset"),
  [
    ("casme2", "kept", False),
    pytest.param("samm", "kept", True, marks=pytest.mark.release),
    pytest.param("casme3a", "kept", False, marks=pytest.mark.release),
    ("samm", "removed", True),
  ],
)
def test_a_video_and_its_record(simulated, tmp_path, key, head, offset):
  """FFV1 in RGB keeps every value; so crops are the same and flow nearly so."""
  options = {"faces": "find", "size": SIZE, "head": head, "offset": offset}
  (outcome,) = build(simulated, tmp_path / "records", [key], **options)
  assert not outcome.failure
  by_clip = {
    (row["subject"], row["clip"]): row for row in records(tmp_path / "records", key)
  }
  (source,) = open_root(simulated, [key]).sources
  for keys in source.database.clips[:3]:
    files = number_frames(next(iter(keys.files.values())).parent)
    numbers = sorted(files)
    images = [read_frame(files[number])[..., ::-1] for number in numbers]
    seconds = [(number - numbers[0]) / keys.fps for number in numbers]
    path = write_film(tmp_path / "a.mkv", images, seconds=seconds)
    networks = Shown()
    networks.made = Made(SIZE, head=head)
    networks.needs = frames_held(offset)
    end = keys.offset if offset else keys.apex
    given = [tuple(map(numbers.index, (keys.onset, keys.apex, end)))]
    analysis.analyse(path, networks=networks, intervals=given, pictures=False)
    onset, apex, flow, window, *last = (x[0] for x in networks.seen if x is not None)
    record = by_clip[keys.clip.subject.encode(), keys.clip.name.encode()]
    np.testing.assert_array_equal(onset, record["onset"])
    # Where the head is taken out, flow of other batches may round a grey value.
    most = 0 if head == "kept" else 1
    assert len(last) == offset
    frames = (apex, window, *last)
    for array, name in zip(frames, frames_held(offset)[1:], strict=True):
      assert np.abs(array.astype(int) - record[name]).max() <= most
    np.testing.assert_allclose(flow, record["flow"], atol=2e-3 if not most else 1e-2)
    assert cv2.norm(onset, apex, cv2.NORM_L1) > 0
