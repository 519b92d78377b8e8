"""Shares of maps with known answers, and truth beside records."""

import dataclasses

import numpy as np
import pytest

from infusenet_jax.artefacts.truth import face, read_truth, share_inside
from infusenet_jax.clips.prepared import prepared_databases
from infusenet_jax.clips.schema import GRID
from infusenet_jax.runtime.errors import UserError
from tests.conftest import make_clips


def test_shares_of_evidence_with_known_answers():
  region = np.zeros((3, 4, 4))
  region[:, :2, :2] = 1
  evidence = np.stack([7 * region[0], np.ones((4, 4)), np.zeros((4, 4))])
  inside, even, nothing = share_inside(evidence, region)
  assert inside == 1
  assert even == pytest.approx(4 / 16)
  assert np.isnan(nothing)
  # Evidence spread evenly over the face scores the region's share of the face.
  skin = face()
  moving = np.zeros((1, GRID, GRID))
  moving[:, 20:30, 20:40] = 1
  assert skin[20:30, 20:40].all()
  assert share_inside(skin[None], moving)[0] == pytest.approx(200 / skin.sum())


def test_the_face_is_an_ellipse_about_the_eyes_and_the_mouth():
  skin = face()
  for y, x in ((0.38, 0.33), (0.38, 0.67), (0.38 + 1.17 * 0.35, 0.5)):
    assert skin[int(y * GRID), int(x * GRID)] == 1
  assert skin[:, 0].sum() == skin[:, -1].sum() == 0
  assert 0.5 < skin.mean() < 0.75


@pytest.fixture
def records(tmp_path):
  """Folders that look like records of simulated databases, with truth."""
  clips = make_clips(12)
  for key in np.unique(clips.database):
    folder = tmp_path / key / "1.0.0"
    folder.mkdir(parents=True)
    (folder / "dataset_info.json").write_text("{}")
    mine = np.flatnonzero(clips.database == key)[::-1]  # Found by name, not by place.
    moving = np.zeros((len(mine), GRID, GRID), np.uint8)
    moving[np.arange(len(mine)), mine, 0] = 255
    np.savez(
      folder / "truth.npz",
      subject=clips.subject[mine],
      clip=clips.clip[mine],
      moving=moving,
    )
  return tmp_path, clips


def test_truth_is_matched_by_name(records):
  truth = read_truth(*records)
  assert truth.shape == (12, GRID, GRID)
  assert [int(mask[:, 0].argmax()) for mask in truth] == list(range(12))
  assert truth.sum() == 12


def test_records_without_truth_are_named(records):
  folder, clips = records
  renamed = dataclasses.replace(clips, clip=np.char.add(clips.clip, "x"))
  with pytest.raises(UserError, match=r"lacks clip .*/clip\d+x; delete.*data_prep"):
    read_truth(folder, renamed)
  (prepared_databases(folder)["samm"] / "truth.npz").unlink()
  with pytest.raises(UserError, match=r"samm.*truth\.npz: .*No such file.*simulated"):
    read_truth(folder, clips)
