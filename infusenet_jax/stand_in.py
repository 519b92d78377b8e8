"""Simulated databases where there are no licensed ones: written, then prepared.

The commands of `data_prep` do it in processes of their own, through the door that
licensed databases use; this package imports nothing from there.
"""

import logging
import subprocess
import sys
from pathlib import Path

from ml_collections import ConfigDict

from infusenet_jax.data import count_clips
from infusenet_jax.errors import UserError

_log = logging.getLogger(__name__)

CLIPS = 2031  # in the six databases


def records_folder(config: ConfigDict) -> Path:
  """The folder of prepared records: `config.data_dir`, or simulated ones made now.

  What is already simulated or prepared with the same settings is used again.
  """
  if config.data_dir:
    return Path(config.data_dir)
  simulated = config.simulated
  _log.warning(
    "config.data_dir is empty: training on SIMULATED DATA (scale %g, labels %s), which "
    "says nothing about real micro-expressions; to use licensed databases, run "
    "`python -m data_prep build` and set --config.data_dir",
    simulated.scale,
    simulated.labels,
  )
  databases, records = (
    Path(simulated.dir) / name
    for name in ("databases", f"records-{config.record_size}")
  )
  _data_prep(
    "simulate",
    f"--out={databases}",
    f"--scale={simulated.scale}",
    f"--seed={simulated.seed}",
    f"--labels={simulated.labels}",
    f"--nuisance={simulated.nuisance}",
    "--frames=key",
  )
  _data_prep(
    "build", f"--root={databases}", f"--out={records}", f"--size={config.record_size}"
  )
  return records


def _data_prep(command: str, *arguments: str) -> None:
  line = [sys.executable, "-m", "data_prep", command, *arguments]
  status = subprocess.run(line, check=False).returncode
  if status == -2 or status == 130:
    raise KeyboardInterrupt
  if status not in (0, 1):  # 1: built, with problems that it has listed.
    raise UserError(
      f"`python -m data_prep {command}` failed with status {status}; its own message "
      "stands above"
    )


def clips_expected(config: ConfigDict) -> int:
  """How many clips a run will have, before they are loaded or even made."""
  if config.data_dir:
    return count_clips(config.data_dir)
  return round(config.simulated.scale * CLIPS)
