import re
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from infusenet_jax.models import weights
from infusenet_jax.models.baselines import FlowResNet18
from infusenet_jax.models.infusenet import InfuseNet
from infusenet_jax.models.magnifier import Magnifier
from infusenet_jax.runtime.errors import UserError
from tests.models.authors import procedural_state


@pytest.fixture(scope="module")
def drawn():
  """A small network and some state of its shapes, as the authors' files name it."""
  model = InfuseNet(12, width=8, rngs=nnx.Rngs(0))
  shapes = {name: array.shape for name, array in weights.to_torch(model).items()}
  return model, procedural_state(shapes, seed=3)


@pytest.fixture
def model(drawn):
  return nnx.clone(drawn[0])


@pytest.fixture
def state(drawn):
  return dict(drawn[1])


def _assert_holds(model, state):
  held = weights.to_torch(model)
  assert held.keys() == state.keys()
  for name, array in held.items():
    np.testing.assert_array_equal(array, state[name], err_msg=name)


def _resnet(state):
  elsewhere = ("mag_", "spatial_model_mag.", "fc.")
  return {name: v for name, v in state.items() if not name.startswith(elsewhere)}


def _magnifier(state):
  return {
    name.removeprefix("mag_"): v for name, v in state.items() if name[:4] == "mag_"
  }


def test_names_are_the_authors(state):
  assert {
    "conv1.weight",
    "bn1.running_mean",
    "layer1.0.conv1.weight",
    "layer4.1.bn2.running_var",
    "layer2.0.downsample.0.weight",
    "layer2.0.downsample.1.bias",
    "spatial_model_mag.layer3.1.conv2.weight",
    "fc.bias",
    "mag_encoder.conv1_shape.weight",
    "mag_encoder.resblks.2.conv2.weight",
    "mag_encoder.resblks_shape.1.conv1.weight",
    "mag_manipulator.convblks.0.conv1.weight",
    "mag_manipulator.convblks_after.0.conv1.weight",
    "mag_manipulator.resblks.0.conv2.weight",
    "mag_decoder.resblks.8.conv1.weight",
    "mag_decoder.conv2.weight",
  } <= state.keys()


def test_a_state_goes_in_and_comes_out_unchanged(model, state):
  weights.from_torch(model, state)
  _assert_holds(model, state)


def test_prefixes_copies_and_unused_tensors_are_accepted(model, state):
  file = dict(state)
  file |= {f"spatial_model.{name}": v for name, v in _resnet(state).items()}
  file |= {f"spatial_model_mag.fc.{n}": state[f"fc.{n}"] for n in ("weight", "bias")}
  file["spatial_model_mag.conv1.weight"] = np.ones((8, 3, 7, 7))
  file["spatial_model_mag.bn1.running_mean"] = np.ones(8)
  file["bn1.num_batches_tracked"] = np.array(7)
  weights.from_torch(model, {f"module.{name}": v for name, v in file.items()})
  _assert_holds(model, state)


def test_a_magnifier_is_filled_under_either_prefix(state):
  magnifier = Magnifier(rngs=nnx.Rngs(0))
  alone = _magnifier(state)
  for prefix in ("", "module.", "mag_"):
    weights.from_torch(magnifier, {prefix + name: v for name, v in alone.items()})
    _assert_holds(magnifier, alone)


def test_misfits_are_all_named_and_nothing_is_changed(model, state):
  before = weights.to_torch(model)
  del state["conv1.weight"], state["mag_decoder.conv2.weight"]
  state["layer9.weight"] = np.ones(3)
  state["fc.bias"] = np.ones(7)
  with pytest.raises(ValueError, match="4 tensors do not fit") as error:
    weights.from_torch(model, state)
  for words in (
    "missing conv1.weight",
    "missing mag_decoder.conv2.weight",
    "surplus layer9.weight",
    re.escape("fc.bias is (7,), expected (12,)"),
  ):
    error.match(words)
  _assert_holds(model, before)


def test_a_resnet_starts_both_branches(model, state, tmp_path):
  resnet = _resnet(state)
  path = tmp_path / "resnet18.npz"
  weights.write(
    path, resnet | {"fc.weight": np.ones((1000, 64)), "fc.bias": np.ones(9)}
  )
  before = weights.to_torch(model)
  weights.load_resnet(model, path)
  after = weights.to_torch(model)
  for name, array in resnet.items():
    np.testing.assert_array_equal(after[name], array)
    # At this width the magnified branch's first block projects 64 channels.
    if name.startswith("layer") and name != "layer1.0.conv1.weight":
      np.testing.assert_array_equal(after[f"spatial_model_mag.{name}"], array)
  for name in ("fc.weight", "mag_encoder.conv1.weight"):
    np.testing.assert_array_equal(after[name], before[name])


@pytest.mark.slow
def test_a_resnet_of_another_width_is_refused_with_the_files_name(state, tmp_path):
  path = tmp_path / "resnet18.npz"
  weights.write(path, _resnet(state))
  with pytest.raises(
    UserError, match=r"resnet18\.npz: .*conv1\.weight is \(8, 3, 7, 7\)"
  ):
    weights.load_resnet(InfuseNet(width=16, rngs=nnx.Rngs(0)), path)


@pytest.mark.parametrize("whole", [True, False])
def test_a_magnifier_is_loaded_alone_and_out_of_a_whole_network(
  model, state, tmp_path, whole
):
  path = tmp_path / "weights.npz"
  weights.write(path, state if whole else _magnifier(state))
  weights.load_magnifier(model, path)
  _assert_holds(model.magnifier, _magnifier(state))


def test_the_magnifier_that_ships_loads_and_is_small(model):
  assert weights.PRETRAINED_MAGNIFIER.stat().st_size < 2e6
  assert weights.PRETRAINED_MAGNIFIER.with_suffix(".txt").exists()
  weights.load_magnifier(model, "pretrained")
  frame = jax.random.uniform(jax.random.key(0), (1, 64, 64, 3), minval=-1)
  # Nothing moves, so magnification returns the frame, within the decoder's error.
  frame = jax.image.resize(frame[:, ::8, ::8], frame.shape, "cubic")
  magnified = model.magnifier(frame, frame, 10.0)
  assert jnp.mean(jnp.abs(magnified - frame)) < 0.05


@pytest.mark.parametrize("content", [b"", b"no weights", b"PK\x03\x04broken"])
@pytest.mark.parametrize("suffix", weights.SUFFIXES)
def test_an_unreadable_file_is_named(tmp_path, suffix, content):
  if suffix == ".pth":
    pytest.importorskip("torch")
  path = tmp_path / f"damaged{suffix}"
  path.write_bytes(content)
  with pytest.raises(UserError, match=f"damaged{suffix}: not a"):
    weights.read(path)


def test_an_npz_that_needs_pickle_is_refused(tmp_path):
  path = tmp_path / "pickle.npz"
  np.savez(path, x=np.array([{}], dtype=object))
  with pytest.raises(UserError, match=r"pickle\.npz: not a readable weights file"):
    weights.read(path)


def test_an_absent_file_is_named(tmp_path):
  with pytest.raises(UserError, match="no such weights file"):
    weights.read(tmp_path / "absent.pth")


def test_the_command_converts_and_says_what_it_found(
  state, tmp_path, monkeypatch, capsys
):
  torch = pytest.importorskip("torch")
  source, target = tmp_path / "in.pth", tmp_path / "out.npz"
  file = {f"module.{n}": torch.tensor(v) for n, v in _magnifier(state).items()}
  torch.save({"state_dict": file}, source)
  monkeypatch.setattr("sys.argv", ["weights", str(source), str(target)])
  weights.main()
  assert "out.npz: magnifier, 37 tensors, 365,968 values" in capsys.readouterr().out
  magnifier = Magnifier(rngs=nnx.Rngs(0))
  weights.load_magnifier(magnifier, target)
  _assert_holds(magnifier, _magnifier(state))


def test_the_command_refuses_what_is_none_of_the_three(tmp_path, monkeypatch):
  source = tmp_path / "in.npz"
  weights.write(source, {"encoder.stem": np.ones(3)})
  monkeypatch.setattr("sys.argv", ["weights", str(source), str(tmp_path / "out.npz")])
  with pytest.raises(UserError, match=r"in\.npz: holds encoder\.stem"):
    weights.main()


def test_a_file_that_would_run_code_is_refused(tmp_path):
  torch = pytest.importorskip("torch")
  path = tmp_path / "code.pth"
  torch.save({"x": type(path)}, path)
  with pytest.raises(
    UserError, match=r"code\.pth: not a PyTorch file of plain tensors"
  ):
    weights.read(path)


@pytest.mark.parametrize(
  "change, message",
  [
    (lambda x: np.full_like(x, np.nan), "values that are not finite"),
    (lambda x: x.astype(np.complex64), "complex64, expected real numbers"),
    (lambda x: x.astype(str), "expected real numbers"),
  ],
)
def test_values_that_are_no_weights_are_refused_by_name(
  model, state, tmp_path, change, message
):
  name = "mag_encoder.conv1.weight"
  np.savez(tmp_path / "weights.npz", **state | {name: change(state[name])})
  with pytest.raises(UserError, match=rf"weights\.npz: .*{name}.*{message}"):
    weights.load_magnifier(model, tmp_path / "weights.npz")


def test_a_single_array_under_the_name_of_many_is_refused(model, tmp_path):
  with (tmp_path / "weights.npz").open("wb") as file:
    np.save(file, np.zeros(3))
  with pytest.raises(UserError, match=r"weights\.npz: .*a single array without a name"):
    weights.load_magnifier(model, tmp_path / "weights.npz")


@pytest.mark.parametrize("suffix", weights.SUFFIXES)
def test_every_form_of_file_gives_back_what_was_written(state, tmp_path, suffix):
  if suffix == ".pth":
    pytest.importorskip("torch")
  path = tmp_path / f"weights{suffix}"
  weights.write(path, state)
  found = weights.read(path)
  assert found.keys() == state.keys()
  for name, tensor in found.items():
    np.testing.assert_array_equal(tensor, state[name])


def test_safetensors_are_read_where_there_is_no_torch(state, tmp_path, monkeypatch):
  path = tmp_path / "resnet18.safetensors"
  weights.write(path, _resnet(state))
  monkeypatch.setitem(sys.modules, "torch", None)
  assert weights.read(path).keys() == _resnet(state).keys()
  with pytest.raises(UserError, match=r"model\.pth: PyTorch files need torch.*npz"):
    weights.write(tmp_path / "model.pth", state)


# How the authors and others save a state.
FORMS = {
  "plain": lambda state: state,
  "state_dict": lambda state: {"state_dict": state, "epoch": 3},
  "model_state_dict": lambda state: {"model_state_dict": state, "optimizer": {}},
  "module": lambda state: {f"module.{name}": v for name, v in state.items()},
}


@pytest.mark.parametrize("form", FORMS)
def test_a_whole_infusenet_is_loaded_in_all_forms(model, state, tmp_path, form):
  torch = pytest.importorskip("torch")
  file = {name: torch.from_numpy(tensor) for name, tensor in state.items()}
  file["spatial_model_mag.bn1.num_batches_tracked"] = torch.tensor(7)
  torch.save(FORMS[form](file), tmp_path / "infusenet.pth")
  weights.load_infusenet(model, tmp_path / "infusenet.pth")
  _assert_holds(model, state)


def test_a_resnet_is_no_whole_infusenet(model, state, tmp_path):
  weights.write(tmp_path / "resnet18.npz", _resnet(state))
  with pytest.raises(UserError, match=r"resnet18\.npz: .*missing fc\.bias"):
    weights.load_infusenet(model, tmp_path / "resnet18.npz")


def test_a_resnet_starts_a_resnet_on_flow(state, tmp_path):
  model = FlowResNet18(width=8, rngs=nnx.Rngs(1))
  path = tmp_path / "resnet18.safetensors"
  weights.write(path, _resnet(state) | {"fc.weight": np.ones((1000, 64))})
  before = weights.to_torch(model)
  weights.load_resnet(model, path)
  after = weights.to_torch(model)
  for name, array in _resnet(state).items():
    np.testing.assert_array_equal(after[name], array)
  np.testing.assert_array_equal(after["fc.weight"], before["fc.weight"])
