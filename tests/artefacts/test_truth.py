"""Evidence maps: shares with known answers, truth beside records, gradients."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from infusenet_jax.artefacts.truth import GRID, face, read_truth, share_inside
from infusenet_jax.clips.labels import AUS
from infusenet_jax.clips.records import prepared_databases
from infusenet_jax.models.baselines import STSTNet
from infusenet_jax.models.infusenet import InfuseNet
from infusenet_jax.runtime.devices import device_mesh
from infusenet_jax.runtime.errors import UserError
from infusenet_jax.training.engine.saliency import make_evidence
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


class Linear(nnx.Module):
  """Both heads weigh their input by known weights and sum it up."""

  def __init__(self):
    rng = np.random.default_rng(1)
    self.flow = nnx.Param(jnp.asarray(rng.normal(size=(32, 32, 3, 12)), jnp.float32))
    self.latents = nnx.Param(jnp.asarray(rng.normal(size=(8, 8, 64, 12)), jnp.float32))

  def classify(self, flow, latents, rotations=None):
    heads = ((flow, self.flow), (latents, self.latents))
    return tuple(jnp.einsum("bhwc,hwca->ba", x, w[...]) for x, w in heads)


def _maps(model, batch, chosen, decide_by="both"):
  mesh = device_mesh(1)
  graph, params, rest = nnx.split(model, nnx.Param, ...)
  empty = nnx.State({})
  rotations = model.rotations() if hasattr(model, "rotations") else None
  evidence = make_evidence(graph, mesh, decide_by)
  return evidence(params, empty, rest, rotations, batch, chosen)


def _batch(seed: int = 0) -> dict:
  rng = np.random.default_rng(seed)
  return {
    "flow": rng.random((1, 32, 32, 3)).astype(np.float16),
    "latents": np.abs(rng.normal(size=(1, 8, 8, 64))).astype(np.float32),
    "labels": np.zeros((1, 12), np.uint8),
  }


def _chosen(place: int) -> np.ndarray:
  return np.eye(len(AUS), dtype=np.float32)[None, place]


@pytest.mark.parametrize(
  "decide_by, flow, magnified",
  [("both", 0.5, 0.5), ("flow", 1, 0), ("magnified", 0, 1)],
)
def test_saliency_is_the_gradient_of_the_logit_that_decides(decide_by, flow, magnified):
  model = Linear()
  found = _maps(model, _batch(), _chosen(3), decide_by)
  assert all(x.shape == (1, GRID, GRID) for x in found.values())
  shares = {"flow": (flow, model.flow), "magnified": (magnified, model.latents)}
  for name, (share, weights) in shares.items():
    slope = share * np.abs(weights[...])[None, ..., 3].sum(-1)
    expected = jax.image.resize(slope, (1, GRID, GRID), "linear")
    np.testing.assert_allclose(found[f"{name} saliency"], expected, atol=1e-4)


def test_each_infused_stage_of_infusenet_has_its_maps():
  model = InfuseNet(width=2, infused=2, rngs=nnx.Rngs(0))
  found = _maps(model, _batch(), _chosen(0))
  stages = {name for name in found if name[-1].isdigit()}
  assert stages == {"feature 1", "feature 2", "gate 1", "gate 2"}
  assert all(found[name].max() > 0 for name in found)
  assert found["gate 1"].max() <= 1


def test_a_network_of_flow_alone_has_flow_saliency_alone():
  model = STSTNet(12, rngs=nnx.Rngs(0))
  batch = {name: x for name, x in _batch().items() if name != "latents"}
  found = _maps(model, batch, _chosen(0))
  assert list(found) == ["flow saliency"]


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
