"""Truth in the crops: known alignments, and a simulation built into records."""

import csv
import dataclasses
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from data_prep.simulator.truth import TruthWriter, crop_mask
from data_prep.simulator.writer import Parameters, simulate
from infusenet_jax.artefacts.truth import read_truth
from infusenet_jax.clips.faces.alignment import Alignment, from_eyes, warp
from infusenet_jax.clips.records import load_clips
from infusenet_jax.clips.schema import GRID
from infusenet_jax.runtime.errors import UserError
from tests.data_prep.builds import build

SIZE = 64


@pytest.mark.parametrize("eyes", [((100, 90), (180, 90)), ((120, 60), (150, 130))])
def test_a_mask_goes_where_the_pixels_of_the_frame_go(eyes):
  """A disc is painted into a frame and marked as moving, then turned and scaled."""
  left, top, step = 40.5, 20.5, 4
  y, x = np.mgrid[:240, :320].astype(np.float32)
  disc = lambda x, y: (x - 150) ** 2 + (y - 110) ** 2 < 30**2  # noqa: E731
  frame = np.uint8(255 * disc(x, y))
  rows, columns = np.mgrid[:50, :60]
  moving = disc(left + columns * step, top + rows * step)
  alignment = Alignment(from_eyes(*map(np.array, eyes), 224), 224, "eyes")
  mask = crop_mask(moving, left, top, step, alignment)
  crop = warp(frame, alignment.matrix, 224)
  expected = cv2.resize(crop, (GRID, GRID), interpolation=cv2.INTER_AREA)
  assert mask.shape == (GRID, GRID) and mask.dtype == np.uint8
  inside, other = mask > 127, expected > 127
  assert inside.sum() > 100
  assert (inside & other).sum() / (inside | other).sum() > 0.93
  places = [np.argwhere(m).mean(0) for m in (inside, other)]
  np.testing.assert_allclose(*places, atol=0.25)


def test_nothing_moves_outside_of_what_was_simulated():
  alignment = Alignment(np.array([[1.0, 0, 0], [0, 1.0, 0]]), GRID, "eyes")
  mask = crop_mask(np.ones((5, 5), bool), 10, 20, 1, alignment)
  assert mask.sum() == 255 * 25
  assert (mask[20:25, 10:15] == 255).all()


@pytest.fixture(scope="module")
def built(tmp_path_factory):
  """Six clips without nuisance, and their records."""
  folder = tmp_path_factory.mktemp("built")
  parameters = Parameters(
    scale=0.001, frames="key", labels="balanced", databases=("casme2",), nuisance=0.0
  )
  simulate(folder / "root", parameters, workers=1)
  return folder, build(folder / "root", folder / "out", size=SIZE, faces="find")


def test_a_simulation_is_built_with_its_truth(built):
  folder, _ = built
  clips = load_clips(folder / "out", SIZE)
  truth = read_truth(folder / "out", clips)
  assert truth.shape == (6, GRID, GRID)
  # Without nuisance all measured motion is the face's.
  for number, mask in enumerate(truth):
    length = np.linalg.norm(clips.flow_in_pixels(number), axis=-1)
    length = cv2.resize(length, (GRID, GRID))
    assert 0.01 < mask.mean() < 0.6
    assert length[mask > 0.5].mean() > 2 * length[mask < 0.5].mean()


def test_truth_says_where_the_crops_changed_by_more_than_motion(built):
  folder, _ = built
  clips = load_clips(folder / "out", SIZE)
  with np.load(folder / "out/casme2/1.0.0/truth.npz") as truth:
    changed = truth["appearance"] / 255
    assert np.array_equal(truth["true"], clips.labels)
    names = list(zip(truth["subject"].tolist(), truth["clip"].tolist(), strict=True))
  assert names == list(zip(clips.subject, clips.clip, strict=True))
  assert changed.shape == (6, GRID, GRID)
  assert all(0.001 < mask.mean() < 0.4 for mask in changed)
  y, x = np.mgrid[:SIZE, :SIZE].astype(np.float32)
  for number, mask in enumerate(changed):
    onset, apex = (
      f[number].mean(-1, dtype=np.float32) for f in (clips.onset, clips.apex)
    )
    flow = clips.flow_in_pixels(number)
    back = cv2.remap(apex, x + flow[..., 0], y + flow[..., 1], cv2.INTER_CUBIC)
    left = cv2.resize(np.abs(back - onset), (GRID, GRID))
    assert left[mask > 0.5].mean() > 1.5 * left[mask == 0].mean()


def test_simulations_of_older_versions_are_named(tmp_path):
  path = tmp_path / "truth/casme2/sub01_EP31_1.npz"
  path.parent.mkdir(parents=True)
  np.savez(path, moving=np.ones((2, 2), bool))
  clip = SimpleNamespace(database="casme2", subject="sub01", name="EP31_1")
  with pytest.raises(UserError, match="has no appearance and no true; an older"):
    TruthWriter(tmp_path).add(clip, None)


def test_beside_the_records_stands_where_the_eyes_were_found(built):
  folder, (outcome,) = built
  assert outcome.notes == []  # All were found, and none deserves a look.
  with open(folder / "out/casme2/1.0.0/alignment.csv", newline="") as stream:
    rows = list(csv.DictReader(stream))
  assert len(rows) == 6
  for row in rows:
    assert (row["found"], row["look"]) == ("eyes", "")
    names = [f"{side}_eye_{axis}" for side in ("left", "right") for axis in "xy"]
    eyes = np.array([float(row[name]) for name in names]).reshape(2, 2)
    name = f"{row['subject']}_{row['clip']}.npz"
    with np.load(folder / "root/truth/casme2" / name) as truth:
      apart = np.linalg.norm(truth["eyes"][1] - truth["eyes"][0])
      assert np.linalg.norm(eyes - truth["eyes"], axis=1).max() < 0.08 * apart
    assert float(row["eye_distance"]) == pytest.approx(apart, rel=0.1)


def test_records_of_a_simulation_without_truth_have_none(tmp_path):
  parameters = Parameters(scale=0.001, frames="key", databases=("casme2",))
  simulate(tmp_path / "root", dataclasses.replace(parameters, still=True), workers=1)
  for path in (tmp_path / "root/truth/casme2").iterdir():
    path.unlink()
  build(tmp_path / "root", tmp_path / "out", size=SIZE, faces="find")
  assert not list(tmp_path.glob("out/*/*/truth.npz"))
