"""PyTorch's side of the benchmark is the authors' network, value by value."""

import numpy as np
import pytest

from tests.models.authors import (
  DATA,
  ORACLES,
  procedural_inputs,
  procedural_state,
  relative_error,
)

torch = pytest.importorskip("torch")

from flax import nnx  # noqa: E402

from infusenet_jax.benchmark.pytorch.model import PublishedInfuseNet, our_name  # noqa: E402
from infusenet_jax.benchmark.pytorch.training import Trainer, fastest_layout  # noqa: E402
from infusenet_jax.models import weights  # noqa: E402
from infusenet_jax.models.infusenet import InfuseNet  # noqa: E402
from tests.conftest import make_clips  # noqa: E402

FEATURES = ("flow_features", "magnified_features", "flow_logits", "magnified_logits")


@pytest.fixture(params=ORACLES, scope="module")
def published(request):
  """The oracle, the network with its weights, inputs (B, 3, H, W) and labels."""
  with np.load(DATA / request.param) as arrays:
    oracle = dict(arrays)
  seed, size, batch = (int(oracle[name]) for name in ("seed", "size", "batch"))
  ours = nnx.eval_shape(lambda: InfuseNet(infusion="published", rngs=nnx.Rngs(0)))
  shapes = {name: v.shape for name, v in weights._variables(ours)}
  shapes = {
    name: (s[3], s[2], *s[:2]) if len(s) == 4 else s[::-1] for name, s in shapes.items()
  }
  model = PublishedInfuseNet().double()
  model.load_authors_state(procedural_state(shapes, seed))
  inputs, labels = procedural_inputs(seed, size, batch)
  inputs = [torch.from_numpy(x.transpose(0, 3, 1, 2).copy()) for x in inputs]
  return oracle, model, inputs, torch.from_numpy(labels).double()


def features_and_logits(model, inputs):
  features = model.pooled_features(*inputs)
  return *features, *map(model.head, features)


def test_evaluation_reproduces_the_authors_features_and_logits(published):
  oracle, model, inputs, _ = published
  model.eval()
  with torch.no_grad():
    outputs = features_and_logits(model, inputs)
    logits = model(*inputs)
  for name, found in zip(FEATURES, outputs, strict=True):
    assert relative_error(found.numpy(), oracle[f"eval_{name}"]) < 1e-9, name
  for found, expected in zip(logits, outputs[2:], strict=True):
    torch.testing.assert_close(found, expected)


@pytest.mark.slow
def test_training_reproduces_the_authors_loss_and_gradients(published):
  oracle, model, inputs, labels = published
  model.train()
  outputs = features_and_logits(model, inputs)
  bce = torch.nn.functional.binary_cross_entropy_with_logits
  loss = sum(bce(logits, labels) for logits in outputs[2:])
  model.zero_grad()
  loss.backward()
  assert relative_error(loss.item(), oracle["train_loss"]) < 1e-9
  for name, found in zip(FEATURES, outputs, strict=True):
    assert relative_error(found.detach().numpy(), oracle[f"train_{name}"]) < 1e-9, name
  gradients = {name: p.grad for name, p in model.named_parameters()}
  norms = [name for name in oracle if name.startswith("grad_norm:")]
  assert norms
  for name in norms:
    found = gradients[our_name(name.removeprefix("grad_norm:"))].norm().item()
    assert relative_error(found, oracle[name]) < 1e-9, name


@pytest.mark.slow
@pytest.mark.parametrize("frozen", [False, True])
def test_the_loop_trains_everything_but_a_frozen_magnifier(frozen):
  torch.manual_seed(0)
  clips = vars(make_clips(8))
  trainer = fastest_layout(clips, 4, frozen_magnifier=frozen)
  before = {n: p.detach().clone() for n, p in trainer.model.named_parameters()}
  losses = [trainer.epoch(number) for number in range(3)]
  assert losses[-1] < losses[0]
  still = {n for n, p in trainer.model.named_parameters() if torch.equal(p, before[n])}
  magnifier = {n for n in before if n.startswith(("encoder.", "manipulator."))}
  assert still == (magnifier if frozen else set())


def test_both_memory_formats_compute_the_same():
  clips, losses = vars(make_clips(4)), []
  for channels_last in (False, True):
    torch.manual_seed(0)
    trainer = Trainer(clips, 4, frozen_magnifier=False, channels_last=channels_last)
    losses.append(trainer.epoch(0))
  assert losses[0] == pytest.approx(losses[1], rel=1e-4)
