"""The report's sample clips: which, and what is kept of where the network looked."""

from types import SimpleNamespace

import numpy as np

from configs import baselines
from infusenet_jax.evaluate.protocol import folds
from infusenet_jax.runtime.devices import device_mesh
from infusenet_jax.training import samples
from infusenet_jax.training.engine.inputs import make_inputs
from infusenet_jax.training.engine.network import build_network, initial_state
from tests.conftest import make_clips


def test_each_fold_keeps_the_maps_of_its_own_sample(tmp_path):
  config = baselines.get_config("ststnet,quickstart")
  config.image_size = 32
  config.seeds = (45, 46)
  clips, mesh = make_clips(), device_mesh(config.train.batch_size)
  network = build_network(config, mesh)
  arrays = {"flow": clips.flow, "labels": clips.labels}
  inputs = make_inputs(arrays, config.train.batch_size, mesh)
  state = initial_state(config, network, 45)
  for seed in config.seeds:
    for fold in folds("cd6me", clips.database, clips.subject)[:2]:
      folder = tmp_path / "folds" / f"seed{seed}-{fold.name}"
      folder.mkdir(parents=True)
      course = SimpleNamespace(fold=fold, seed=seed, folder=folder)
      samples.save_maps(config, network, inputs, clips, course, state)
  kept = sorted(path.parent.name for path in tmp_path.glob("folds/*/maps.npz"))
  assert kept == ["seed45-casme", "seed45-casme2"]

  shown = samples.read_samples(config, tmp_path, clips)
  assert [sample.database for sample in shown] == list(dict.fromkeys(clips.database))
  for sample in shown:
    mine = clips.labels[clips.database == sample.database].sum(1)
    row = int(np.flatnonzero(clips.clip == sample.clip)[0])
    assert clips.labels[row].sum() == mine.max()
    maps = ["flow saliency"] if sample.database in ("casme", "casme2") else []
    assert list(sample.maps) == maps
    assert all(x.ndim == 2 and x.max() > 0 for x in sample.maps.values())
