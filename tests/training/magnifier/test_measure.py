import cv2
import numpy as np
import pytest

from infusenet_jax.runtime.errors import UserError
from infusenet_jax.training.magnifier import measure
from infusenet_jax.training.magnifier.initial import eulerian_magnifier
from infusenet_jax.training.magnifier.measure import (
  artefact_gain,
  make_scene,
  make_scenes,
  psnr,
  read_scenes,
  ssim,
  study,
)


@pytest.fixture(autouse=True)
def small_frames(monkeypatch):
  monkeypatch.setattr(measure, "SIZE", 32)


def _picture(seed=0):
  y, x = np.mgrid[:64, :64]
  waves = 0.5 + 0.2 * np.sin(0.2 * x + seed) + 0.2 * np.cos(0.25 * y)
  return np.float32(np.repeat(waves[..., None], 3, -1))


def test_psnr_is_in_decibels_of_full_scale():
  frame = np.full((8, 8, 3), 0.5)
  assert psnr(frame + 0.1, frame) == pytest.approx(20)


def test_ssim_is_one_for_equal_frames_and_falls_with_noise():
  frame = _picture()
  noise = np.random.default_rng(0).normal(size=frame.shape)
  scores = [ssim(frame + s * noise, frame) for s in (0, 0.02, 0.1)]
  assert scores[0] == pytest.approx(1)
  assert scores[0] > scores[1] > scores[2]


def test_the_truth_of_a_scene_moves_further_than_its_second_frame():
  _, first, second, truth = make_scene(_picture(), 10, 0.5, light=0.0, seed=0)
  assert first.shape == second.shape == truth.shape == (32, 32, 3)
  assert np.abs(truth - first).mean() > np.abs(second - first).mean()


def test_artefact_gain_falls_when_the_first_layer_ignores_the_mean():
  magnifier = eulerian_magnifier(seed=0)
  seeing = artefact_gain(magnifier, _picture())
  assert 0.01 < seeing < 10
  kernel = magnifier.encoder.conv1.kernel
  kernel[...] = (
    kernel[...].at[..., :].add(-kernel[...].sum((0, 1, 2)) / kernel[..., 0].size)
  )
  assert artefact_gain(magnifier, _picture()) < seeing


def test_the_study_compares_magnifiers_in_one_table():
  magnifiers = {"ours": eulerian_magnifier(0), "peer": eulerian_magnifier(1)}
  scenes = list(make_scenes([_picture(0), _picture(1)], light=0.5))
  table, shown = study(scenes, magnifiers)
  lines = table.splitlines()
  assert [line.split("|")[1].strip() for line in lines[2:]] == [
    "second frame as it is",
    "ours",
    "peer",
  ]
  assert len({line.count("|") for line in lines}) == 1
  assert shown.shape == (32, 5 * 32, 3)


def test_a_folder_without_pictures_is_named(tmp_path):
  with pytest.raises(UserError, match=r"no \.png or \.jpg pictures there"):
    measure.read_images(tmp_path)


def test_a_damaged_picture_is_named(tmp_path):
  (tmp_path / "face.png").write_bytes(b"no picture")
  with pytest.raises(UserError, match=r"face\.png: not a picture"):
    measure.read_images(tmp_path)


def test_scenes_are_read_from_files_with_their_amp(tmp_path):
  for name, value in (("first", 90), ("second", 100), ("truth", 190)):
    cv2.imwrite(str(tmp_path / f"face-10-{name}.png"), np.full((8, 8), value, np.uint8))
  (scene,) = read_scenes(tmp_path)
  assert scene.amp == 10 and scene.truth.shape == (8, 8, 3)
  means = [255 * frame.mean() for frame in scene[1:]]
  np.testing.assert_allclose(means, [90, 100, 190], atol=0.5)


def test_a_folder_without_scenes_is_named(tmp_path):
  with pytest.raises(UserError, match="no NAME-AMP-first"):
    list(read_scenes(tmp_path))
