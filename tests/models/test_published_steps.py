"""One and twenty steps of training, beside PyTorch's in float64.

Adam with L2 in the gradient, batch statistics and running statistics: whatever enters a
state is compared. Rounding grows from step to step, so after twenty of them the measure
is how far PyTorch drifts from itself when its weights are changed in the last digit.
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from infusenet_jax.models import weights
from infusenet_jax.models.baselines import BASELINES
from infusenet_jax.models.infusenet import InfuseNet
from infusenet_jax.runtime.devices import device_mesh
from infusenet_jax.training.engine import optim, steps
from tests.models import baseline_layers
from tests.models.authors import procedural, procedural_inputs, procedural_state

torch = pytest.importorskip("torch")

from infusenet_jax.benchmark.pytorch.model import (  # noqa: E402
  PublishedInfuseNet,
  our_name,
)
from tests.models import published  # noqa: E402

BATCH, STEPS = 4, 20
NUDGE = 1e-15  # relative, of PyTorch's weights
RATE, L2 = 1e-4, 1e-3  # the benchmark's


class SmallNetwork:
  """A baseline, ours and PyTorch's, without dropout."""

  def __init__(self, name: str, size: int):
    self.name, self.size = name, size
    self.torch = published.REFERENCES[name](dropout=0.0).double()
    shapes = {k: tuple(v.shape) for k, v in self.torch.state_dict().items()}
    self.start = procedural_state(_real(shapes), seed=5)

  def ours(self) -> nnx.Module:
    model = BASELINES[self.name](rngs=nnx.Rngs(0))
    baseline_layers.without_dropout(model)
    baseline_layers.fill(self.name, model, self.start)
    return model

  def batch(self, step: int) -> tuple[tuple[np.ndarray, ...], np.ndarray]:
    inputs, labels = procedural_inputs(step, self.size, BATCH)
    return inputs[:1], labels

  def load_torch(self, state: dict) -> None:
    self.torch.load_state_dict(state, strict=False)

  def torch_loss(self, inputs, labels):
    return torch.nn.functional.binary_cross_entropy_with_logits(
      self.torch(*inputs), labels
    )

  def torch_state(self) -> dict[str, np.ndarray]:
    state = self.torch.state_dict()
    return {name: state[name].numpy().copy() for name in self.start}

  def our_state(self, model: nnx.Module) -> dict[str, np.ndarray]:
    return baseline_layers.as_torch(self.name, model)


class WholeInfuseNet(SmallNetwork):
  """The authors' network, all of it trained, but for its decoder, which never runs."""

  def __init__(self):
    self.size = 64
    self.torch = PublishedInfuseNet().double()
    state = weights.to_torch(self._blank())
    shapes = {name: x.shape for name, x in state.items()}
    self.start = procedural_state(shapes, seed=1)

  def _blank(self):
    return InfuseNet(12, infusion="published", gate="batch", rngs=nnx.Rngs(0))

  def ours(self):
    model = self._blank()
    for name, variable in weights._variables(model):
      variable.set_value(jnp.asarray(weights._from_torch_layout(self.start[name])))
    return model

  def batch(self, step):
    return procedural_inputs(step, self.size, BATCH)

  def load_torch(self, state):
    self.torch.load_authors_state(state)

  def torch_loss(self, inputs, labels):
    return sum(
      torch.nn.functional.binary_cross_entropy_with_logits(logits, labels)
      for logits in self.torch(*inputs)
    )

  def torch_state(self):
    state = self.torch.state_dict()
    return {
      name: state[our_name(name)].numpy().copy()
      for name in self.start
      if not name.startswith("mag_decoder.")
    }

  def our_state(self, model):
    return weights.to_torch(model)


def _real(shapes: dict) -> dict:
  return {k: v for k, v in shapes.items() if not k.endswith("num_batches_tracked")}


def torch_steps(network: SmallNetwork, count: int, nudge: float = 0.0) -> list[dict]:
  """PyTorch's state after the first and the last of `count` steps."""
  start = {
    name: x * (1 + nudge * np.sign(procedural(name, x.shape, 9)))
    for name, x in network.start.items()
  }
  network.load_torch({name: torch.from_numpy(x) for name, x in start.items()})
  network.torch.train()
  optimizer = torch.optim.Adam(network.torch.parameters(), RATE, weight_decay=L2)
  states = []
  for step in range(count):
    inputs, labels = network.batch(step)
    inputs = [torch.from_numpy(np.moveaxis(x, -1, 1).copy()) for x in inputs]
    optimizer.zero_grad()
    network.torch_loss(inputs, torch.from_numpy(labels.astype(float))).backward()
    optimizer.step()
    if step in (0, count - 1):
      states.append(network.torch_state())
  return states


def our_steps(network: SmallNetwork, count: int) -> list[dict]:
  """Our state after the first and the last step, as a run's train step makes them."""

  def loss(model, batch):
    frames = [batch[name] for name in ("onset", "apex", "window_apex") if name in batch]
    return sum(
      optax.sigmoid_binary_cross_entropy(logits, batch["labels"]).mean()
      for logits in model(batch["flow"], *frames)
    )

  with jax.enable_x64(True):
    graph, *state = steps.split_model(network.ours(), train_magnifier=True)
    optimizer, mesh = optim.make_optimizer(RATE, L2), device_mesh(BATCH)
    train_step = steps.make_train_steps(graph, optimizer, mesh, loss)
    states = steps.make_stack(mesh).fill(
      steps.new_state(tuple(state), optimizer, mesh)._replace(loss_sum=jnp.float64(0))
    )
    found = []
    for step in range(count):
      inputs, labels = network.batch(step)
      names = ("flow", "onset", "apex", "window_apex")
      batch = {n: jnp.asarray(x)[None] for n, x in zip(names, inputs, strict=False)}
      batch |= {"labels": jnp.asarray(labels, float)[None]}
      batch |= {"weights": jnp.ones((1, BATCH))}
      one_step = {name: part[:, None] for name, part in batch.items()}
      states, _ = train_step(states, steps.Batches({}, one_step))
      if step in (0, count - 1):
        one = jax.tree.map(lambda x: x[0], states)
        found.append(network.our_state(nnx.merge(graph, *one.weights)))
    assert int(one.step) == count and int(one.failed_step) < 0
  return found


def distance(found: dict, expected: dict) -> float:
  """The largest difference of any parameter or running statistic."""
  return max(float(abs(found[name] - x).max()) for name, x in expected.items())


def compare(network: SmallNetwork) -> None:
  theirs = torch_steps(network, STEPS)
  ours = our_steps(network, STEPS)
  assert all(x.dtype == np.float64 for x in ours[0].values())
  first = distance(ours[0], theirs[0])
  assert first < 1e-9
  drift = distance(torch_steps(network, STEPS, NUDGE)[-1], theirs[-1])
  found = distance(ours[-1], theirs[-1])
  print(
    f"ours from PyTorch after one step {first:.1e}, after {STEPS} {found:.1e}; "
    f"PyTorch from itself {drift:.1e}"
  )
  assert found < 100 * drift
  # Far less than a wrong statistic would change: n / (n - 1) alone is 1 in 10^4.
  assert found < 1e-6
  moved = distance(theirs[-1], {k: network.start[k] for k in theirs[-1]})
  assert moved > 1e-3


@pytest.mark.slow
@pytest.mark.parametrize("name", ["sssnet", "ststnet"])
def test_a_baselines_steps_are_pytorchs(name):
  compare(SmallNetwork(name, {"sssnet": 64, "ststnet": 28}[name]))


@pytest.mark.release
def test_the_published_infusenets_steps_are_pytorchs():
  compare(WholeInfuseNet())
