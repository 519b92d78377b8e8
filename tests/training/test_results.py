"""The report's sample clips: which, and what is kept of where the network looked."""

import dataclasses

import numpy as np

from configs import baselines
from infusenet_jax.evaluate.pictures import read_pictures, read_samples
from infusenet_jax.evaluate.protocol import folds
from infusenet_jax.runtime.devices import device_mesh
from infusenet_jax.runtime.run_files import fold_folder
from infusenet_jax.training.engine.experiment import make_experiment, make_job
from infusenet_jax.training.results import save_maps
from tests.training.conftest import compiled_network


def test_each_fold_keeps_the_maps_of_its_own_sample(clips, tmp_path):
  config = baselines.get_config("ststnet,quickstart")
  config.image_size = 32
  config.seeds = (45, 46)
  network = compiled_network(config, device_mesh(config.train.batch_size))
  experiment = make_experiment(config, network, clips)
  state = experiment.initial_state(45)
  for seed in config.seeds:
    for fold in folds("cd6me", clips.database, clips.subject)[:2]:
      job = make_job(tmp_path, seed, fold)
      job.folder.mkdir(parents=True)
      save_maps(experiment, job, state)
  kept = sorted(path.parent.name for path in tmp_path.glob("folds/*/maps.npz"))
  assert kept == ["seed45-casme", "seed45-casme2"]

  shown = read_samples(config, tmp_path, clips)
  assert [sample.database for sample in shown] == list(dict.fromkeys(clips.database))
  for sample in shown:
    mine = clips.labels[clips.database == sample.database].sum(1)
    row = int(np.flatnonzero(clips.clip == sample.clip)[0])
    assert clips.labels[row].sum() == mine.max()
    maps = ["flow saliency"] if sample.database in ("casme", "casme2") else []
    assert list(sample.maps) == maps
    assert all(x.ndim == 2 and x.max() > 0 for x in sample.maps.values())


def test_pictures_are_shown_of_clips_with_frames_where_the_config_allows(
  clips, tmp_path
):
  config = baselines.get_config("ststnet,quickstart")
  blind = clips.database == "samm"  # As records of flow alone have them.
  black = np.where(blind[:, None, None, None], 0, clips.onset).astype(np.uint8)
  shown = read_pictures(config, tmp_path, dataclasses.replace(clips, onset=black))
  assert {key for key, *_ in shown.faces} == set(clips.database[~blind].tolist())
  nothing = dataclasses.replace(clips, onset=0 * clips.onset)
  assert read_pictures(config, tmp_path, nothing) is None
  config.report.pictures = False
  assert read_pictures(config, tmp_path, clips) is None


def test_maps_that_cannot_be_read_are_left_out_with_a_line(clips, tmp_path, caplog):
  config = baselines.get_config("ststnet,quickstart")
  for name, content in (("casme", b"junk"), ("samm", b"")):
    path = fold_folder(tmp_path, 45, name) / "maps.npz"
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
  with fold_folder(tmp_path, 45, "samm").joinpath("maps.npz").open("wb") as file:
    np.save(file, np.zeros(3))  # A .npy under the other name.
  shown = read_samples(config, tmp_path, clips)
  assert len(shown) == 6 and not any(sample.maps for sample in shown)
  assert caplog.text.count("the report goes without it") == 2
