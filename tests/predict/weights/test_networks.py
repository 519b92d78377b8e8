"""The networks of a run, asked for anybody's faces."""

import json
import shutil

import numpy as np
import pytest

from configs import baselines
from infusenet_jax.clips.records import _to_arrays, min_max
from infusenet_jax.clips.schema import FRAMES, OFFSET
from infusenet_jax.evaluate.calibration import fit_predictions, sigmoid
from infusenet_jax.evaluate.predictions import read_predictions
from infusenet_jax.predict.export.program import make_program
from infusenet_jax.predict.findings import SIMULATED_WEIGHTS
from infusenet_jax.predict.weights import networks as module
from infusenet_jax.predict.weights.networks import Networks, load_run, shipped
from infusenet_jax.predict.weights.packed import write_packed
from infusenet_jax.runtime.errors import UserError
from tests.conftest import make_clips, make_tiny_config
from tests.predict.runs import crops, drawn, seen, small_config, train


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
  """A run of six folds and two seeds."""
  return train(small_config(seeds=(45, 46)), tmp_path_factory.mktemp("six") / "run")


@pytest.fixture(scope="module")
def networks(workdir) -> Networks:
  return load_run(workdir)


@pytest.fixture(scope="module")
def infusenet(tmp_path_factory) -> Networks:
  return drawn(
    make_tiny_config(), tmp_path_factory.mktemp("infusenet") / "x.safetensors"
  )


@pytest.fixture
def copied(workdir, tmp_path):
  return shutil.copytree(workdir, tmp_path / "run")


@pytest.mark.parametrize(
  "name", ["ststnet", pytest.param("infusenet", marks=pytest.mark.release)]
)
def test_each_fold_says_again_what_it_said_in_its_run(name, workdir, tmp_path):
  clips = make_clips()
  if name == "infusenet":
    workdir = train(make_tiny_config(), tmp_path / "run")
  networks = load_run(workdir)
  before = read_predictions([workdir / "predictions.csv"])
  assert len(networks.members) == len(networks.weights) == networks.card["networks"]
  for place, (seed, fold) in enumerate(networks.members):
    own = clips.database == fold
    said = before[(before.fold == fold) & (before.seed == seed)]
    assert said.clip.tolist() == clips.clip[own].tolist()
    again = networks.logits(seen(clips, own), [place])
    np.testing.assert_allclose(again, said.logits, atol=1e-5)


def test_probabilities_are_the_calibrated_mean_of_all_networks(networks, workdir):
  given = crops(3)
  probability = networks.probabilities(**given)
  inputs = networks.see(**given)
  each = [networks.logits(inputs, [i]) for i in range(12)]
  assert np.std(each, axis=0).min() > 0
  before = read_predictions([workdir / "predictions.csv"])
  expected = fit_predictions(before)(np.mean(each, axis=0))
  assert probability.shape == (3, 12) and probability.dtype == np.float64
  np.testing.assert_allclose(probability, expected, atol=1e-6)


@pytest.mark.parametrize("size", [48, 32, 20])
def test_crops_are_made_what_records_are_made(infusenet, size):
  given, rng = crops(2, size), np.random.default_rng(0)
  strain = rng.random((2, size, size, 1)).astype(np.float32)
  flow = np.concatenate([given["flow"], strain], -1).astype(np.float16)
  found = infusenet.see(**given | {"flow": flow})
  for number in range(2):
    record = {name: given[name][number] for name in FRAMES} | {
      "flow": flow[number],
      "labels": np.zeros(12),
      **dict.fromkeys(("database", "subject", "clip"), b"x"),
    }
    expected = _to_arrays(record, 32, min_max)
    for name in ("flow", *FRAMES):
      assert found[name].dtype == expected[name].dtype
      np.testing.assert_array_equal(found[name][number], expected[name])


def test_strain_is_measured_where_it_is_not_given(networks):
  given = crops(2)
  flow = given["flow"]
  uy, ux = np.gradient(flow[..., 0], axis=(1, 2))
  vy, vx = np.gradient(flow[..., 1], axis=(1, 2))
  strain = np.sqrt(ux**2 + vy**2 + (uy + vx) ** 2 / 2)
  whole = networks.see(**given)["flow"]
  assert whole.shape == (2, 32, 32, 3)
  correlation = np.corrcoef(whole[1, 2:-2, 2:-2, 2].ravel(), resized(strain[1]))[0, 1]
  assert correlation > 0.9


def resized(strain: np.ndarray) -> np.ndarray:
  import cv2

  small = cv2.resize(strain, (32, 32), interpolation=cv2.INTER_AREA)
  return small[2:-2, 2:-2].ravel()


def test_one_compilation_serves_any_number_of_clips(networks):
  given = crops(11)
  whole = networks.probabilities(**given)
  before = networks.network.eval_step._cache_size()
  for count in (1, 3, 8):
    some = networks.probabilities(**{name: x[:count] for name, x in given.items()})
    np.testing.assert_allclose(some, whole[:count], atol=1e-6)
  assert networks.network.eval_step._cache_size() == before
  none = {name: x[:0] for name, x in given.items()}
  assert networks.probabilities(**none).shape == (0, 12)
  assert networks.looked(**none).shape == (0, 48, 48)


def test_the_apex_stands_in_for_a_window_apex(infusenet):
  given = crops(2)
  found = infusenet.see(given["onset"], given["apex"], given["flow"])
  np.testing.assert_array_equal(found["window_apex"], found["apex"])
  assert (infusenet.see(**given)["window_apex"] != found["apex"]).any()


def test_the_onset_stands_in_for_an_offset(tmp_path):
  config = make_tiny_config()
  config.model.update(baselines.MODELS["resnet18_difference"])
  config.model.reference, config.simulated.offset = "offset", True
  networks = drawn(config, tmp_path / "x.safetensors")
  assert networks.needs == (*FRAMES, OFFSET, "flow")
  given, offset = crops(2), crops(3)["onset"][1:]
  without = networks.see(**given)
  np.testing.assert_array_equal(without[OFFSET], without["onset"])
  seen = networks.see(**given, offset=offset)
  assert (seen[OFFSET] != seen["onset"]).any()
  found = [networks.probabilities(**given, **x) for x in ({}, {"offset": offset})]
  assert (found[0] != found[1]).any()
  assert networks.looked(**given, offset=offset).shape == (2, 48, 48)
  with pytest.raises(UserError, match="look at the offset cannot be exported"):
    make_program(networks)


def test_inputs_that_do_not_fit_together_are_named(infusenet):
  given = crops(2)
  with pytest.raises(ValueError, match=r"apex is \(2, 32, 32, 3\) uint8; expected"):
    infusenet.see(**given | {"apex": crops(2, 32)["apex"]})
  with pytest.raises(ValueError, match=r"onset is .* float64; expected uint8"):
    infusenet.see(**given | {"onset": given["onset"] / 255})
  with pytest.raises(ValueError, match=r"flow is .*expected \(N, S, S, 2\)"):
    infusenet.see(**given | {"flow": given["flow"][..., :1]})


@pytest.mark.slow
def test_a_gate_over_the_batch_sees_one_clip_at_a_time(tmp_path):
  config = make_tiny_config()
  config.model.update({"infusion": "published", "gate": "batch"})
  networks, given = drawn(config, tmp_path / "x.safetensors"), crops(3)
  whole = networks.probabilities(**given)
  for number in range(3):
    alone = networks.probabilities(**{k: x[number, None] for k, x in given.items()})
    np.testing.assert_allclose(alone[0], whole[number], atol=1e-6)


MODELS = {"infusenet": {}, **baselines.MODELS}


@pytest.mark.parametrize(
  "name",
  [
    pytest.param(name, marks=[] if name == "ststnet" else pytest.mark.release)
    for name in MODELS
  ],
)
def test_every_model_of_the_configs_has_probabilities_and_pictures(name, tmp_path):
  config = make_tiny_config()
  config.model.update(MODELS[name])
  networks = drawn(config, tmp_path / "x.safetensors")
  flow_only = ("sssnet", "ststnet", "off_apexnet", "resnet18", "flow_branch")
  expected = ("flow",) if name in flow_only else (*FRAMES, "flow")
  assert networks.needs == expected
  given = crops(2)
  probability = networks.probabilities(**given)
  assert ((probability > 0) & (probability < 1)).all()
  looked = networks.looked(**given)
  assert looked.shape == (2, 48, 48) and looked.dtype == np.float32
  assert looked.min() >= 0 and (looked.max((1, 2)) > 0).all()


@pytest.mark.slow
def test_infusenet_looks_and_magnifies(infusenet):
  given = crops(1)
  looked = infusenet.looked(**given)
  assert looked.shape == (1, 48, 48) and looked.min() >= 0 and looked.max() > 0
  weak, strong = (
    infusenet.magnified(given["onset"], given["apex"], amp).astype(int)
    for amp in (2, 40)
  )
  assert weak.shape == (1, 48, 48, 3) and np.abs(weak - strong).mean() > 0


@pytest.mark.slow
def test_networks_on_flow_magnify_by_what_ships(networks):
  shape = (1, 33, 47, 3)  # Odd sides.
  still = np.full(shape, 90, np.uint8)
  image = networks.magnified(still, still, 10.0)
  assert image.shape == shape and image.dtype == np.uint8
  assert abs(float(image.mean()) - 90) < 20


def test_the_card_says_where_the_weights_come_from(networks):
  card = networks.card
  assert card["source"] == "run" and card["name"] == "run"
  assert card["simulated"] and card["calibrated"] and card["seeds"] == [45, 46]
  assert len(card["databases"]) == 6 and card["networks"] == 12
  assert card["notes"] == [SIMULATED_WEIGHTS]
  json.dumps(card)


def test_a_run_that_left_nothing_out_is_calibrated_by_its_twin(workdir, tmp_path):
  path = train(small_config(protocol="all"), tmp_path / "all")
  bare, given = load_run(path), crops(2)
  assert not bare.card["calibrated"] and "not calibrated" in bare.card["notes"][1]
  np.testing.assert_allclose(
    bare.probabilities(**given), sigmoid(bare.logits(bare.see(**given)))
  )
  calibrated = load_run(path, calibrated_by=workdir)
  assert calibrated.card["calibrated"]
  assert "had not seen (run run)" in calibrated.card["notes"][1]
  assert np.abs(calibrated.probabilities(**given) - bare.probabilities(**given)).max()


def test_checkpoints_that_are_missing_damaged_or_others_are_one_line(copied):
  (checkpoints,) = copied.glob("folds/seed46-samm/checkpoints")
  checkpoints.rename(checkpoints.with_name("moved"))
  with pytest.raises(UserError, match="seed46-samm/checkpoints: no checkpoint"):
    load_run(copied)
  checkpoints.with_name("moved").rename(checkpoints)
  for file in checkpoints.rglob("*"):
    if file.is_file():
      file.write_bytes(b"")
  with pytest.raises(UserError, match=r"seed46-samm/checkpoints: none of .*read") as e:
    load_run(copied)
  assert "\n" not in str(e.value)


def test_a_run_of_another_architecture_is_one_line(copied):
  config = json.loads((copied / "config.json").read_text())
  for change, message in (
    ({"name": "off_apexnet"}, "checkpoints: none of the 1 checkpoints can be read"),
    ({"name": "gigantic"}, r"config\.model\.name is 'gigantic'; expected one of"),
  ):
    new = config | {"model": config["model"] | change}
    (copied / "config.json").write_text(json.dumps(new))
    with pytest.raises(UserError, match=message) as error:
      load_run(copied)
    assert "\n" not in str(error.value)
  del config["model"]["name"]
  (copied / "config.json").write_text(json.dumps(config))
  with pytest.raises(UserError, match=r"config\.json: written by another version"):
    load_run(copied)


def test_packed_networks_say_what_they_said_before(networks, tmp_path):
  path = tmp_path / "packed.safetensors"
  write_packed(
    path,
    config=networks.config,
    members=networks.members,
    weights=[own for own, _ in networks.weights],
    made=networks.made,
    calibration=networks.calibration,
    card=networks.card,
  )
  again, given = load_run(path), crops(4)
  assert again.members == networks.members and again.made == networks.made
  assert again.card == networks.card
  np.testing.assert_allclose(
    again.probabilities(**given), networks.probabilities(**given), atol=2e-3
  )


def test_a_packed_file_that_is_damaged_or_does_not_fit_is_one_line(tmp_path):
  path = tmp_path / "x.safetensors"
  drawn(small_config(), path)
  sound = path.read_bytes()
  path.write_bytes(sound[:-5] + bytes([sound[-5] ^ 1]) + sound[-4:])
  with pytest.raises(UserError, match="its checksum is another"):
    load_run(path)
  for junk in (sound[:-5], b"", b"junk" * 100):
    path.write_bytes(junk)
    with pytest.raises(UserError, match="no sound file of packed networks") as error:
      load_run(path)
    assert "\n" not in str(error.value)
  path.write_bytes(sound.replace(b"0/params/streams.0", b"0/params/strands.0"))
  with pytest.raises(UserError, match=r"missing, expected .* another architecture"):
    load_run(path)


def test_what_ships_is_used_or_its_absence_named(tmp_path, monkeypatch):
  path = tmp_path / "shipped.safetensors"
  monkeypatch.setattr(module, "SHIPPED", path)
  with pytest.raises(UserError, match=r"no trained weights ship .* --run"):
    shipped()
  drawn(small_config(), path)
  assert shipped().card["source"] == "shipped"
