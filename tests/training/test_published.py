"""Runs of configs/published.py on clips of noise; checkpoints in and out of them."""

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from configs import published
from infusenet_jax.clips.labels import AUS, CLIPS
from infusenet_jax.evaluate.documents import About
from infusenet_jax.evaluate.predictions import Predictions, read_predictions
from infusenet_jax.evaluate.protocol import folds
from infusenet_jax.evaluate.scores import cd6me_tables
from infusenet_jax.models import weights
from infusenet_jax.models.infusenet import InfuseNet
from infusenet_jax.runtime.errors import UserError
from infusenet_jax.runtime.run_files import fold_files
from infusenet_jax.training import svm
from infusenet_jax.training.engine.steps import scale_frame
from infusenet_jax.training.export_torch import main as export
from infusenet_jax.training.results import Results
from infusenet_jax.training.run import Records
from tests.models.authors import procedural_state

NETWORKS = [row for row in published.ROWS if row != "svm"]


def small(row):
  """A row at a size for tests; what makes it that row stays."""
  config = published.get_config(row)
  config.seeds, config.folds = (45,), "casme2"
  config.image_size = 32 if row != "infusenet" else 64
  config.model.update({"width": 4, "resnet_weights": "", "magnifier_weights": ""})
  config.train.update({"epochs": 2, "batch_size": 8, "checkpoint_epochs": 1})
  return config


@pytest.mark.parametrize("row", NETWORKS)
def test_a_row_trains_as_the_published_one(row):
  config = published.get_config(row)
  expected = {
    "sssnet": (200, 1e-4, 64),
    "off_apexnet": (3000, 1e-4, 28),
    "ststnet": (500, 5e-5, 28),
    "resnet18": (50, 1e-4, 112),
    "infusenet": (200, 1e-4, 224),
  }
  train = config.train
  assert (train.epochs, train.learning_rate, config.image_size) == expected[row]
  assert (train.batch_size, train.l2, train.schedule) == (32, 1e-3, "constant")
  assert (config.dtype, train.mirror) == ("float32", False)
  assert tuple(config.seeds) == (45, 46, 47, 48, 49)


@pytest.mark.slow
def test_a_row_runs(train, tmp_path):
  results = train(small("off_apexnet"), tmp_path)
  assert results.published and results.beside_published() == ""
  assert len(results.predictions) == 5


@pytest.mark.release
def test_the_other_rows_run(train, tmp_path):
  for row in ("sssnet", "ststnet", "resnet18", "infusenet"):
    assert len(train(small(row), tmp_path / row).predictions) == 5


@pytest.mark.slow
def test_a_file_that_is_not_there_is_named_before_training(train, tmp_path):
  config = small("resnet18")
  config.model.resnet_weights = published.IMAGENET
  with pytest.raises(UserError, match=r"resnet18\.safetensors: no such weights file"):
    train(config, tmp_path)


def test_another_row_is_refused():
  with pytest.raises(UserError, match=r"published:led: expected one of sssnet"):
    published.get_config("led")


def complete(simulated: bool) -> Results:
  """Predictions of as many clips as were published, all right."""
  database = np.repeat(list(CLIPS), list(CLIPS.values()))
  labels = (np.arange(len(database))[:, None] % 12 == np.arange(12)).astype(np.uint8)
  predictions = Predictions(
    database=database,
    subject=np.full(len(database), "s"),
    clip=np.arange(len(database)).astype(str),
    fold=database,
    seed=np.full(len(database), 45),
    logits=labels - 0.5,
    labels=labels,
    simulated=simulated,
  )
  averages = published.get_config("sssnet").published
  tables = cd6me_tables(predictions, resamples=2)
  return Results(About("", simulated, {}, {}), None, predictions, tables, averages)


def test_published_averages_stand_beside_licensed_complete_ones_alone():
  assert complete(simulated=True).beside_published() == ""
  lines = complete(simulated=False).beside_published().splitlines()
  assert [line.split()[-2:] for line in lines[1:5]] == [
    ["100.0", "40.5"],
    ["100.0", "68.3"],
    ["100.0", "38.4"],
    ["100.0", "67.1"],
  ]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
  """A published InfuseNet, small, with weights drawn by a formula, and its file."""
  model = InfuseNet(12, infusion="published", gate="batch", width=4, rngs=nnx.Rngs(0))
  shapes = {name: array.shape for name, array in weights.to_torch(model).items()}
  state = procedural_state(shapes, seed=3)
  weights.from_torch(model, state)
  path = tmp_path_factory.mktemp("weights") / "infusenet.safetensors"
  weights.write(path, state)
  return model, path


@pytest.mark.release
def test_no_epochs_test_a_checkpoint(checkpoint, train, clips, tmp_path):
  model, path = checkpoint
  config = small("infusenet")
  config.image_size = 32
  config.model.weights, config.train.epochs = str(path), 0
  results = train(config, tmp_path)
  model.eval()
  (fold,) = folds("cd6me", clips.database, clips.subject, ["casme2"])
  frames = (getattr(clips, name) for name in ("onset", "apex", "window_apex"))
  heads = nnx.jit(lambda model, *inputs: model(*inputs))(
    model,
    jnp.asarray(clips.flow[fold.test], jnp.float32),
    *(scale_frame(jnp.asarray(frame[fold.test])) for frame in frames),
  )
  np.testing.assert_allclose(
    results.predictions.logits, np.mean(heads, axis=0), rtol=0, atol=1e-5
  )
  assert (tmp_path / "report.html").exists()


@pytest.mark.release
def test_a_trained_fold_leaves_as_the_authors_checkpoint(
  checkpoint, train, tmp_path, monkeypatch, capsys
):
  model, path = checkpoint
  config = small("infusenet")
  config.image_size = 32
  config.model.weights, config.train.epochs = str(path), 1
  config.train.learning_rate = 1e-9
  train(config, tmp_path)
  line = ["export_torch", "--workdir", str(tmp_path), "--fold", "casme2"]
  target = tmp_path / "out.safetensors"
  monkeypatch.setattr("sys.argv", [*line, str(target)])
  export()
  assert "out.safetensors: " in capsys.readouterr().out
  found, before = weights.read(target), weights.to_torch(model)
  assert found.keys() == before.keys()
  for name in (
    "fc.weight",
    "mag_encoder.conv1.weight",
    "spatial_model_mag.layer1.0.bn1.bias",
  ):
    np.testing.assert_allclose(found[name], before[name], rtol=0, atol=1e-6)
  assert np.abs(found["bn1.running_mean"] - before["bn1.running_mean"]).max() > 1e-3

  for wrong, message in (
    ([*line[:3], "--fold", "samm", "o.npz"], "no checkpoint of this fold and seed"),
    ([*line, "out.onnx"], r"out\.onnx: expected a file name"),
  ):
    monkeypatch.setattr("sys.argv", wrong)
    with pytest.raises(UserError, match=message):
      export()


def test_what_the_authors_network_cannot_compute_is_not_exported(
  train, tiny_config, tmp_path, monkeypatch
):
  (tmp_path / "config.json").write_text(tiny_config.to_json_best_effort())
  line = ["--workdir", str(tmp_path), "--fold", "samm", str(tmp_path / "out.npz")]
  monkeypatch.setattr("sys.argv", ["export_torch", *line])
  with pytest.raises(UserError, match=r"infusion is 'unitary'.*expected 'published'"):
    export()


@pytest.fixture
def machines(clips, monkeypatch):
  """A small config of the support vector machines, on clips that can be learned."""
  pytest.importorskip("sklearn")
  flow = np.full((len(clips), 8, 8, 3), 0.5, np.float16)
  flow[:, :4, :4, :] += (
    0.4 * (2.0 * clips.labels[:, :3].astype(float) - 1)[:, None, None]
  )
  object.__setattr__(clips, "flow", flow)
  clips.labels[:, 3] = 0
  monkeypatch.setattr(svm, "load_records", lambda _: Records(clips, {"casme2": "a"}))
  config = published.get_config("svm")
  config.folds = "casme2,samm"
  return config


def test_machines_learn_what_the_flow_says(machines, clips, tmp_path):
  text = svm.run(machines, tmp_path)
  assert "simulated data" in text
  assert svm.run(machines, tmp_path) == text  # Finished: shown again.
  found = read_predictions(fold_files(tmp_path, "predictions.csv"))
  assert len(found) == 10 and set(found.fold) == {"casme2", "samm"}
  np.testing.assert_array_equal(found.logits[:, :3] > 0, found.labels[:, :3] > 0)
  assert (found.logits[:, 3] == -1).all()  # No clip shows it.


def test_a_machines_logit_is_positive_where_scikit_learn_predicts_1(machines, clips):
  from sklearn.svm import SVC

  (fold,) = folds("cd6me", clips.database, clips.subject, ["samm"])
  clips.labels[:, 5] = np.random.default_rng(1).random(len(clips)) < 0.5
  features = np.random.default_rng(2).random((len(clips), 192)).astype(np.float16)
  object.__setattr__(clips, "flow", features.reshape(-1, 8, 8, 3))
  found = svm.predict(clips, fold, 28.0, 45)
  features = features.astype(float)
  machine = SVC(C=28).fit(features[fold.train], clips.labels[fold.train, 5])
  expected = machine.predict(features[fold.test])
  np.testing.assert_array_equal(found.logits[:, 5] > 0, expected > 0)
  assert found.logits.shape == (5, len(AUS))


@pytest.mark.parametrize(
  "change, message",
  [
    ({"seeds": (45, 46)}, "expected a single one"),
    ({"image_size": 4}, "expected 8 or more"),
    ({"model": {"C": 0.0}}, r"config\.model\.C is 0.0"),
  ],
)
def test_machines_that_cannot_be_are_refused(machines, tmp_path, change, message):
  machines.update(change)
  with pytest.raises(UserError, match=message):
    svm.run(machines, tmp_path)
