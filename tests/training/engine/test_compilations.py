"""Six folds and two seeds share what the first of them compiled."""

import jax
import pytest

from infusenet_jax.evaluate.predictions import write_predictions
from infusenet_jax.runtime.devices import device_mesh
from infusenet_jax.training import run
from infusenet_jax.training.engine.network import build_network

pytestmark = pytest.mark.slow

COMPILED = "/jax/core/compile/backend_compile_duration"
# Of the loss beside the progress bar, whenever that is drawn: no computation.
DRAWING = {"jit(squeeze)", "jit(dynamic_slice)"}


@pytest.fixture
def compiled():
  """The names of what JAX compiles, in order."""
  found = []

  def note(event: str, seconds: float, *, fun_name: str = "", **_) -> None:
    if event == COMPILED:
      found.append(fun_name)

  jax.monitoring.register_event_duration_secs_listener(note)
  yield found
  jax.monitoring.unregister_event_duration_listener(note)


def test_nothing_is_compiled_after_the_first_fold(
  tiny_config, clips, compiled, monkeypatch, tmp_path
):
  tiny_config.folds = "all"
  tiny_config.seeds = (45, 46)
  tiny_config.model.magnifier_weights = "pretrained"  # All seeds share a frozen one.
  tiny_config.train.epochs = 1
  at_end_of_fold = []

  def write_and_note(*arguments) -> None:
    write_predictions(*arguments)
    at_end_of_fold.append(len(compiled))

  monkeypatch.setattr(run, "write_predictions", write_and_note)
  network = build_network(tiny_config, device_mesh(tiny_config.train.batch_size))
  run.train(tiny_config, network, clips, tmp_path)
  assert len(at_end_of_fold) == 12
  before, after = compiled[: at_end_of_fold[0]], compiled[at_end_of_fold[0] :]
  assert before and not set(after) - DRAWING
