"""Formats the benchmark's numbers as lines and tables of text."""

from typing import Any

from ml_collections import ConfigDict

from infusenet_jax.benchmark.epoch import OURS
from infusenet_jax.benchmark.roofline import Ceilings, Timing
from infusenet_jax.benchmark.steps import Steps
from infusenet_jax.runtime.text import duration, text_table

STEP_COLUMNS = (
  *("step", "compile s", "GFLOP", "GB", "ms", "quartiles", "clips/s"),
  *("of roofline", "memory MB"),
)


def step_rows(measured: Steps, batch_size: int) -> list[tuple[str, ...]]:
  """Makes a row with the columns `STEP_COLUMNS` for each step."""
  return [
    (
      name,
      f"{m.compile_seconds:.1f}",
      f"{m.flops / 1e9:.1f}",
      f"{m.num_bytes / 1e9:.2f}",
      f"{1e3 * m.timing.median:.1f}",
      f"{1e3 * m.timing.low:.1f}-{1e3 * m.timing.high:.1f}",
      f"{clips / m.timing.median:.1f}",
      f"{m.share:.0%}",
      f"{m.memory / 1e6:.0f}",
    )
    for name, (m, clips) in measured.clips(batch_size).items()
  ]


def epoch_table(timings: dict[str, Timing], clips: dict[str, int]) -> str:
  """Makes the table of the seconds of one epoch, ours and others'.

  Args:
    timings: of one epoch, by name.
    clips: how many clips that epoch has, by name. The last column compares the time per
      clip with ours.
  """
  each = {name: timing.median / clips[name] for name, timing in timings.items()}
  rows = [("epoch", "s", "quartiles", "clips/s", "times ours")]
  rows += [
    (
      name,
      f"{timing.median:.3f}",
      f"{timing.low:.3f}-{timing.high:.3f}",
      f"{1 / each[name]:.1f}",
      f"{each[name] / each[OURS]:.2f}",
    )
    for name, timing in timings.items()
  ]
  return text_table(rows)


def ceilings_line(ceilings: Ceilings) -> str:
  """Formats the two ceilings that make the roofline."""
  size = ceilings.matrix_size
  return (
    f"ceilings: {ceilings.flops / 1e9:,.0f} GFLOP/s ({ceilings.dtype} product of "
    f"{size} x {size}), {ceilings.bandwidth / 1e9:,.1f} GB/s (copy of "
    f"{ceilings.copied_bytes / 1e6:,.0f} MB)"
  )


def whole_run_line(config: ConfigDict, whole: dict[str, Any]) -> str:
  """Formats how long a whole run of `config` takes."""
  return (
    f"whole run ({whole['clips']} clips, {whole['folds']} folds, {whole['seeds']} "
    f"seeds, {config.train.epochs} epochs: {whole['steps']} steps): "
    f"{duration(whole['total'])}; training {duration(whole['train'])}, testing "
    f"{duration(whole['test'])}, magnifying once {duration(whole['magnify'])}"
  )
