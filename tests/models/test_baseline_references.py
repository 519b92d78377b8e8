"""The baselines' outputs beside those of PyTorch builds, which are kept as data.

    python -m tests.models.test_baseline_references

makes the data anew with PyTorch, in float64; the test itself needs no PyTorch. Weights
and inputs are those of tests/models/authors.py.
"""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from infusenet_jax.models import weights
from infusenet_jax.models.baselines import FlowResNet18, OffApexNet, SSSNet, STSTNet
from tests.models import baseline_layers
from tests.models.authors import procedural_inputs, procedural_state, relative_error

DATA = Path(__file__).with_name("baselines_seed3.npz")
SEED, BATCH = 3, 3
OURS = {
  "sssnet": (SSSNet, 64),
  "ststnet": (STSTNet, 28),
  "off_apexnet_1": (lambda **how: OffApexNet(streams=1, **how), 28),
  "off_apexnet_2": (lambda **how: OffApexNet(streams=2, **how), 28),
  "resnet18": (FlowResNet18, 64),
}


def filled(name: str) -> nnx.Module:
  """Ours with the weights of the reference, without dropout."""
  build, _ = OURS[name]
  model = build(rngs=nnx.Rngs(0))
  if name == "resnet18":
    shapes = {k: x.shape for k, x in weights.to_torch(model).items()}
    weights.from_torch(model, procedural_state(shapes, SEED))
  else:
    baseline_layers.without_dropout(model)
    shapes = {k: x.shape for k, x in baseline_layers.as_torch(name, model).items()}
    baseline_layers.fill(name, model, procedural_state(shapes, SEED))
  return model


# Flax keeps batch statistics in float32 unless it is given others.
@pytest.mark.filterwarnings("ignore:scatter inputs have incompatible types")
@pytest.mark.filterwarnings("ignore:Explicitly requested dtype float64")
@pytest.mark.parametrize(
  "mode", ["eval", pytest.param("train", marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("name", OURS)
def test_a_baseline_computes_what_its_pytorch_build_does(name, mode):
  with np.load(DATA) as file:
    expected = file[f"{name}.{mode}"]
  with jax.enable_x64(True):
    model = filled(name)
    getattr(model, mode)()
    (flow, *_), _ = procedural_inputs(SEED, OURS[name][1], BATCH)
    (found,) = nnx.jit(lambda model, x: model(x))(model, jnp.asarray(flow))
  assert found.shape == expected.shape == (BATCH, 12)
  assert np.ptp(expected) > 0.1
  assert relative_error(found, expected) < 1e-10


def main() -> None:
  """Writes the reference outputs."""
  import torch

  from infusenet_jax.benchmark.pytorch.model import Trunk
  from tests.models import published

  class TorchResNet18(Trunk):
    def __init__(self):
      super().__init__(stem=True)
      self.fc = torch.nn.Linear(512, 12)

    def forward(self, flow):
      x = torch.relu(self.bn1(self.conv1(flow)))
      x = torch.nn.functional.max_pool2d(x, 3, 2, 1)
      for stage in self.stages():
        x = stage(x)
      return self.fc(x.mean((2, 3)))

  content = {}
  for name, (_, size) in OURS.items():
    if name == "resnet18":
      model = TorchResNet18()
    else:
      model = published.REFERENCES[name](dropout=0.0)
    shapes = {
      k: tuple(x.shape)
      for k, x in model.state_dict().items()
      if not k.endswith("num_batches_tracked")
    }
    state = procedural_state(shapes, SEED)
    for mode in ("eval", "train"):
      model.double().load_state_dict(
        {k: torch.from_numpy(x) for k, x in state.items()}, strict=False
      )
      getattr(model, mode)()
      (flow, *_), _ = procedural_inputs(SEED, size, BATCH)
      with torch.no_grad():
        logits = model(torch.from_numpy(np.moveaxis(flow, -1, 1).copy()))
      content[f"{name}.{mode}"] = logits.numpy()
  np.savez_compressed(DATA, **content)


if __name__ == "__main__":
  main()
