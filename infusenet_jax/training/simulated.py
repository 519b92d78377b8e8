"""Makes simulated databases and their records, for runs without licensed databases.

It runs the commands `python -m data_prep simulate` and `build`, so that simulated
databases are prepared as licensed ones are. This package imports nothing of
`data_prep`.
"""

import logging
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from infusenet_jax.clips.labels import CLIPS
from infusenet_jax.clips.prepared import (
  count_clips,
  head_of,
  offset_of,
  prepared_databases,
  simulated_records_folder,
)
from infusenet_jax.clips.schema import HEADS
from infusenet_jax.runtime.errors import UserError

_DIFFICULTY = ("strength", "doubtful", "missed", "coders", "unlike")

_log = logging.getLogger(__name__)


def records_folder(config: ConfigDict) -> Path:
  """Returns the folder of records: `config.data_dir`, or that of simulated records."""
  if config.data_dir:
    return Path(config.data_dir)
  return simulated_records_folder(config.simulated, config.record_size)


def say_if_simulated(config: ConfigDict) -> None:
  """Warns that a run without `config.data_dir` is one on simulated databases."""
  if config.data_dir:
    return
  simulated = config.simulated
  _log.warning(
    "config.data_dir is empty: training on SIMULATED DATA (scale %g, labels %s), which "
    "says nothing about real micro-expressions; to use licensed databases, run "
    "`python -m data_prep build` and set --config.data_dir",
    simulated.scale,
    simulated.labels,
  )


def make_records(config: ConfigDict) -> None:
  """Makes simulated records, unless `config.data_dir` names a folder of records.

  Databases and records that were made before with the same settings are used again.

  Raises:
    UserError: the folder holds databases or records with other settings, or they could
      not be made.
  """
  if config.data_dir:
    return
  simulated = config.simulated
  simulated_records(
    Path(simulated.dir),
    config.record_size,
    f"--scale={simulated.scale}",
    f"--seed={simulated.seed}",
    f"--labels={simulated.labels}",
    f"--nuisance={simulated.nuisance}",
    *difficulty_flags(simulated),
    head=head_of(simulated),
    offset=offset_of(simulated),
  )


def difficulty_flags(simulated: Mapping[str, Any]) -> list[str]:
  """Makes the flags of `data_prep simulate` for what makes a simulation harder.

  Args:
    simulated: a config's field `simulated`, or what simulated records tell of their
      source, which holds pairs as lists.
  """
  simulated = simulated.get("difficulty", simulated)
  flags = []
  for name in _DIFFICULTY:
    value = simulated.get(name)
    if isinstance(value, list):
      value = ",".join(f"{key}:{number:g}" for key, number in value)
    if value:
      flags.append(f"--{name}={value}")
  return flags


def simulated_records(
  folder: Path, size: int, *flags: str, head: str = HEADS[0], offset: bool = False
) -> Path:
  """Makes simulated databases and their records, and returns the folder of the records.

  Databases are written to FOLDER/databases, records to FOLDER/records-SIZE, or beside
  it where the head's motion is removed or the offset held. What was made there before
  with the same flags is used again.

  Args:
    folder: for both.
    size: side of the crops in the records, pixels.
    flags: of `python -m data_prep simulate`, such as "--scale=0.1".
    head: one of `schema.HEADS`.
    offset: whether the records hold the frame at the offset.

  Raises:
    UserError: the folder holds databases or records with other settings, or they could
      not be made.
  """
  databases = folder / "databases"
  kind = {"dir": folder, "head": head, "offset": offset}
  records = simulated_records_folder(kind, size)
  _data_prep(folder, "simulate", f"--out={databases}", "--frames=key", *flags)
  made = f"--root={databases}", f"--out={records}", f"--size={size}", f"--head={head}"
  _data_prep(folder, "build", *made, *["--offset"] * offset)
  if missing := CLIPS.keys() - prepared_databases(records).keys():
    raise UserError(
      f"{records}: no records of {', '.join(sorted(missing))}, although `python -m "
      "data_prep build` has ended; its message above says why"
    )
  return records


def _data_prep(folder: Path, command: str, *arguments: str) -> None:
  line = [sys.executable, "-m", "data_prep", command, *arguments]
  with subprocess.Popen(line) as process:
    try:
      status = process.wait()
    except BaseException:
      process.terminate()  # Otherwise it would still hold its lock at the next start.
      raise
  if status == -2 or status == 130:
    raise KeyboardInterrupt
  if status not in (0, 1):  # Status 1: done, with problems that are listed above.
    raise UserError(
      f"simulated databases could not be made in {folder}: `python -m data_prep "
      f"{command}` ended with status {status} and the message above; config.simulated "
      "and config.record_size are its settings, another folder starts afresh"
    )


def clips_expected(config: ConfigDict) -> dict[str, int]:
  """Estimates the clips of each database in a run, before they are made or read."""
  if config.data_dir:
    return count_clips(config.data_dir)
  return {key: round(config.simulated.scale * count) for key, count in CLIPS.items()}
