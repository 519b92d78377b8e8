"""Reads what a run's report may show of its clips."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from ml_collections import ConfigDict

from infusenet_jax.evaluate.report.clips import Pictures, Sample
from infusenet_jax.runtime.files import read_arrays
from infusenet_jax.runtime.run_files import MAPS, fold_files

if TYPE_CHECKING:
  from infusenet_jax.clips.records import Clips

_log = logging.getLogger(__name__)

MOST_SAMPLES = 6


def may_show(config: ConfigDict) -> bool:
  """Whether a run's report may show its clips; runs without the field may."""
  return config.get("report", {}).get("pictures", True)


def read_pictures(config: ConfigDict, workdir: Path, clips: "Clips") -> Pictures | None:
  """Collects onset and apex of every clip, and the samples.

  Args:
    config: of the run.
    workdir: of the run, whose folds may have kept maps.
    clips: that the run was trained on.

  Returns:
    The pictures; None where the config wants none or no clip has frames.
  """
  if not may_show(config):
    return None
  # Records may hold flow alone, with black frames.
  seen = [i for i in range(len(clips)) if clips.onset[i].any()]
  if not seen:
    return None
  columns = (clips.database, clips.subject, clips.clip)
  return Pictures(
    read_samples(config, workdir, clips),
    {
      tuple(str(column[i]) for column in columns): (clips.onset[i], clips.apex[i])
      for i in seen
    },
  )


def sample_numbers(clips: "Clips") -> list[int]:
  """Chooses one clip of each database, the first that shows most AUs."""
  chosen = []
  for key in dict.fromkeys(clips.database):
    mine = np.flatnonzero(clips.database == key)
    chosen.append(int(mine[np.argmax(clips.labels[mine].sum(1))]))
  return chosen[:MOST_SAMPLES]


def read_samples(config: ConfigDict, workdir: Path, clips: "Clips") -> list[Sample]:
  """Reads the samples with the maps that the first seed's folds kept, where they did.

  Args:
    config, workdir, clips: as of `read_pictures`.
  """
  maps: dict[int, dict[str, np.ndarray]] = {}
  for path in fold_files(workdir, MAPS, config.seeds[0]):
    try:
      content = read_arrays(path)
    except (OSError, ValueError) as error:
      _log.warning("%s: not readable (%s); the report goes without it", path, error)
      continue
    for name, values in content.items():
      number, _, what = name.partition(" ")
      maps.setdefault(int(number), {})[what] = values
  return [
    Sample(
      database=str(clips.database[i]),
      subject=str(clips.subject[i]),
      clip=str(clips.clip[i]),
      onset=clips.onset[i],
      apex=clips.apex[i],
      flow=clips.flow_in_pixels(i),
      maps=maps.get(i, {}),
    )
    for i in sample_numbers(clips)
  ]
