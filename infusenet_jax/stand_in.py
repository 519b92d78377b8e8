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

# In the six databases, and so in simulated ones at scale 1.
CLIPS = {
  "casme": 189,
  "casme2": 256,
  "samm": 159,
  "fourd": 267,
  "mmew": 300,
  "casme3a": 860,
}


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
  with subprocess.Popen(line) as process:
    try:
      status = process.wait()
    except BaseException:
      process.terminate()  # Or it would hold its lock when this command is restarted.
      raise
  if status == -2 or status == 130:
    raise KeyboardInterrupt
  if status not in (0, 1):  # 1: built, with problems that it has listed.
    raise UserError(
      f"simulated databases could not be made in config.simulated.dir: `python -m "
      f"data_prep {command}` ended with status {status} and the message above; "
      "config.simulated and config.record_size are its settings, another "
      "config.simulated.dir starts afresh"
    )


def clips_expected(config: ConfigDict) -> dict[str, int]:
  """About how many clips of each database a run has, before they are loaded or made."""
  if config.data_dir:
    return count_clips(config.data_dir)
  return {key: round(config.simulated.scale * count) for key, count in CLIPS.items()}
