"""Six folds and two seeds share what the first of them compiled."""

import jax
import pytest

from infusenet_jax.training import run as train
from tests.conftest import make_clips

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
  tiny_config, compiled, monkeypatch, tmp_path
):
  clips = make_clips()
  monkeypatch.setattr(train, "records_folder", lambda config: None)
  monkeypatch.setattr(train, "make_records", lambda config: None)
  monkeypatch.setattr(train, "load_clips", lambda folder, size: clips)
  monkeypatch.setattr(train, "records_identity", lambda folder: {"casme2": "a"})
  tiny_config.folds = "all"
  tiny_config.seeds = (45, 46)
  tiny_config.model.magnifier_weights = "pretrained"  # All seeds share a frozen one.
  tiny_config.train.epochs = 1
  at_first_fold = []
  save = train.save_predictions

  def save_and_note(*arguments) -> None:
    save(*arguments)
    at_first_fold.append(len(compiled))

  monkeypatch.setattr(train, "save_predictions", save_and_note)
  train.train_and_evaluate(tiny_config, tmp_path)
  assert len(at_first_fold) == 12
  before, after = compiled[: at_first_fold[0]], compiled[at_first_fold[0] :]
  assert before and not set(after) - DRAWING
