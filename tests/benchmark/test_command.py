"""The benchmark: what it counts and times, in which order, and what it says."""

import json
import sys

import jax
import jax.numpy as jnp
import pytest

from configs import cd6me
from infusenet_jax.benchmark import command, epoch, roofline, tables
from infusenet_jax.benchmark.roofline import Ceilings, DoesNotFit, measure_ceilings
from infusenet_jax.runtime.errors import UserError
from infusenet_jax.runtime.text import text_table

CEILINGS = Ceilings(1e9, 1e9, 64, 64, "float32")


@pytest.fixture
def quick_ceilings(monkeypatch):
  monkeypatch.setattr(command, "measure_ceilings", lambda dtype: CEILINGS)


@pytest.mark.release
def test_a_run_measures_every_step_epochs_and_the_whole_run(
  tiny_config, quick_ceilings, tmp_path, capsys
):
  tiny_config.model.magnifier_weights = "pretrained"
  trace = tmp_path / "trace"
  results = command.run(tiny_config, repeats=2, steps=2, trace=str(trace))
  assert json.loads(json.dumps(results)) == results
  assert results["machine"]["threads"] >= 1 and results["machine"]["versions"]["jax"]
  assert set(results["steps"]) == {"train", "eval", "magnify"}
  for step in results["steps"].values():
    assert step["flops"] > 1e6 and step["num_bytes"] > 1e5 and step["memory"] > 1e5
    assert step["compile_seconds"] > 0 and step["clips"] == 8
    timing = step["timing"]
    assert 0 < timing["low"] <= timing["median"] <= timing["high"]
    expected = max(step["flops"], step["num_bytes"]) / 1e9 / timing["median"]
    assert step["roofline_share"] == pytest.approx(expected)
  assert results["epochs"]["infusenet_jax"]["clips"] == 16
  assert results["whole_run"]["total"] > 0
  assert results["peak_memory"]["process"] > 1e8
  assert list(trace.rglob("*.xplane.pb"))
  printed = capsys.readouterr().out
  for part in ("train", "eval", "magnify", "of roofline", "noise made in memory"):
    assert part in printed


def test_ceilings_are_measured_and_the_slower_limit_counts():
  ceilings = measure_ceilings(jnp.dtype("float32"), repeats=1)
  assert ceilings.flops > 1e9 and ceilings.bandwidth > 1e8
  assert CEILINGS.seconds(2e9, 1e9) == 2 and CEILINGS.seconds(2e9, 3e9) == 3


def test_sides_take_turns_and_the_first_round_does_not_count(monkeypatch):
  clock, order = [0.0], []
  monkeypatch.setattr(epoch.time, "perf_counter", lambda: clock[0])

  def timed(name, seconds):
    def run(number):
      order.append((name, number))
      clock[0] += seconds + (100 if number == 0 else number)

    return run

  epochs = {"ours": timed("ours", 1), "peer": timed("peer", 3)}
  timings = epoch.time_in_turn(epochs, 3)
  assert order == [(name, n) for n in range(4) for name in ("ours", "peer")]
  assert (timings["ours"].median, timings["peer"].median) == (3, 5)
  assert (timings["ours"].low, timings["ours"].high) == (2.5, 3.5)
  assert timings["ours"].repeats == 3


def test_a_whole_run_is_all_folds_seeds_and_epochs_of_the_published_clips():
  config = cd6me.get_config()
  seconds = {"train_seconds": 2.0, "eval_seconds": 1.0, "magnify_seconds": 0.5}
  whole = epoch.whole_run(config, side_by_side=1, **seconds)
  # The number that configs/cd6me.py states.
  assert (whole["clips"], whole["folds"], whole["steps"]) == (2031, 6, 321_000)
  assert whole["train"] == 642_000 and whole["magnify"] == 32.0
  assert whole["total"] == whole["train"] + whole["test"] + whole["magnify"]
  halved = epoch.whole_run(config, side_by_side=2, **seconds)
  assert halved["train"] == 321_000
  config.protocol = "loso"
  assert epoch.whole_run(config, side_by_side=1, **seconds) is None


def test_a_step_that_needs_more_memory_than_is_free_is_not_run(
  tiny_config, quick_ceilings, monkeypatch
):
  monkeypatch.setattr(roofline, "free_memory", lambda: 1000)
  with pytest.raises(DoesNotFit, match=r"needs 0\.0 GB more") as raised:
    roofline.compile_step(jax.jit(lambda x: x + 1), (jnp.ones(1000),))
  roofline.compile_step(jax.jit(lambda x: x + 1), (jnp.ones(100),))

  def measure(*_):
    raise raised.value

  monkeypatch.setattr(command, "measure_steps", measure)
  with pytest.raises(UserError, match=r"batch_size is 8: needs .* GB more"):
    command.run(tiny_config, repeats=1, steps=1)


def test_the_sweep_goes_on_after_a_batch_that_does_not_fit(
  tiny_config, quick_ceilings, monkeypatch, capsys
):
  asked = []

  def measure(config, ceilings, repeats):
    asked.append((config.dtype, config.train.batch_size))
    raise DoesNotFit("needs 9.0 GB more, 5.0 GB are free")

  monkeypatch.setattr(command, "measure_steps", measure)
  found = command.sweep(tiny_config, 1)
  assert asked == [(d, b) for d in ("float32", "bfloat16") for b in (2, 4, 8, 16, 32)]
  assert [(f["dtype"], f["batch_size"]) for f in found] == asked
  assert all("9.0 GB" in entry["error"] for entry in found)
  assert capsys.readouterr().out.count("no: needs 9.0 GB more") == 10
  assert tiny_config.train.batch_size == 8


def test_a_missing_pytorch_is_one_line(tiny_config, monkeypatch):
  monkeypatch.setitem(sys.modules, "torch", None)
  with pytest.raises(UserError, match=r"--peer=torch.*pip install 'infusenet_jax"):
    command.run(tiny_config, repeats=1, steps=1, peer=True)


@pytest.mark.slow
def test_torchs_epochs_are_of_the_published_network_and_of_a_frozen_one(tiny_config):
  pytest.importorskip("torch")
  clips = epoch.noise_clips(tiny_config, 4)
  epochs = dict(epoch.torch_epochs(clips, 2))
  first, second, *_ = epochs
  assert first.startswith("PyTorch as published (N")
  assert second.startswith("PyTorch magnifier frozen, no_grad (N")
  assert all(epoch(0) > 0 for epoch in epochs.values())


def test_columns_line_up():
  rows = [("step", "ms"), ("train", "12.5"), ("eval", "no: a long reason", "more")]
  assert text_table(rows[:2]) == "step     ms\ntrain  12.5"
  assert text_table(rows).splitlines()[1] == "train  12.5"


def test_ratios_are_by_clip_where_folds_side_by_side_see_more_of_them():
  second = roofline.Timing(median=1.0, low=1.0, high=1.0, repeats=3)
  timings = {"infusenet_jax": second, "peer": second}
  printed = tables.epoch_table(timings, {"infusenet_jax": 60, "peer": 10})
  _, ours, peer = (line.split() for line in printed.splitlines())
  assert ours[-2:] == ["60.0", "1.00"] and peer[-2:] == ["10.0", "6.00"]
