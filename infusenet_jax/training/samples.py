"""The clips that a report shows, and where the fold that left them out looked."""

import io
from pathlib import Path

import numpy as np
from ml_collections import ConfigDict

from infusenet_jax.clips.labels import AUS
from infusenet_jax.clips.records import Clips
from infusenet_jax.evaluate.report.clips import Sample
from infusenet_jax.runtime.devices import even_batch, is_main
from infusenet_jax.runtime.files import write_atomically
from infusenet_jax.training.engine.course import Course
from infusenet_jax.training.engine.inputs import Inputs, put_batch
from infusenet_jax.training.engine.network import Network
from infusenet_jax.training.engine.saliency import make_evidence
from infusenet_jax.training.engine.steps import TrainState

MAPS = "maps.npz"
MOST = 6


def sample_numbers(clips: Clips) -> list[int]:
  """One clip of each database, the first that shows most AUs."""
  chosen = []
  for key in dict.fromkeys(clips.database):
    mine = np.flatnonzero(clips.database == key)
    chosen.append(int(mine[np.argmax(clips.labels[mine].sum(1))]))
  return chosen[:MOST]


def save_maps(
  config: ConfigDict,
  network: Network,
  inputs: Inputs,
  clips: Clips,
  course: Course,
  state: TrainState,
) -> None:
  """Keeps gates and saliency of the samples among a trained fold's test clips.

  Saliency is that of the logits of all AUs that the clip shows, of all 12 where it
  shows none. The first seed's folds alone have maps. Every process calls this; the
  first one writes maps.npz in the fold's folder.
  """
  numbers = [i for i in sample_numbers(clips) if course.fold.test[i]]
  if not numbers or course.seed != config.seeds[0]:
    return
  weights = (state.params, state.frozen, state.rest)
  rotations = network.rotate(*weights)
  evidence = make_evidence(network.graph, network.mesh, config.decide_by)
  size = even_batch(1, network.mesh)
  content = {}
  for i in numbers:
    shown = clips.labels[i].astype(np.float32)
    chosen = np.tile(shown if shown.any() else np.ones(len(AUS), np.float32), (size, 1))
    chosen = put_batch({"chosen": chosen}, network.mesh)["chosen"]
    found = evidence(*weights, rotations, inputs.take(np.full(size, i)), chosen)
    for name, maps in found.items():
      if "saliency" in name or "gate" in name:
        content[f"{i} {name}"] = np.asarray(maps)[0].astype(np.float32)
  if is_main():
    file = io.BytesIO()
    np.savez_compressed(file, **content)
    write_atomically(course.folder / MAPS, file.getvalue())


def read_samples(config: ConfigDict, workdir: Path, clips: Clips) -> list[Sample]:
  """The samples with the maps that the first seed's folds kept, where they did."""
  maps: dict[int, dict[str, np.ndarray]] = {}
  for path in sorted(workdir.glob(f"folds/seed{config.seeds[0]}-*/{MAPS}")):
    with np.load(path) as content:
      for name in content.files:
        number, _, what = name.partition(" ")
        maps.setdefault(int(number), {})[what] = content[name]
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
