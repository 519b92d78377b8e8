"""Writes a program as StableHLO, and beside it in words what goes in and comes out."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax import export

from infusenet_jax.clips.faces.alignment import EYES_APART, EYES_CENTRE
from infusenet_jax.clips.labels import AU_NAMES, AUS
from infusenet_jax.predict.export.program import Program
from infusenet_jax.predict.findings import SHOWN, SIMULATED_WEIGHTS
from infusenet_jax.predict.weights.networks import Networks
from infusenet_jax.runtime.errors import UserError
from infusenet_jax.runtime.files import write_atomically
from infusenet_jax.runtime.workdir import versions

PLATFORMS = ("cpu", "cuda", "tpu")
MOST_BYTES = 2**31 - 2**26  # What a file's offsets can count, less what is no weight.

_MEANINGS = {
  "onset": "crops of the face, red-green-blue, aligned by the onset",
  "apex": "the same of the apex, by the onset's alignment",
  "window_apex": "the same of the frame around the apex that differs most from the"
  " onset; the apex again where there is none",
  "flow": "from onset to apex: to the right and down, pixels of the crop",
  "probabilities": "of each AU, in [0, 1], in the order of `aus`",
  "logits": "the mean of all networks before calibration; above 0 the tables count an"
  " AU as shown",
}


def write_artefact(program: Program, networks: Networks, path: Path) -> int:
  """Writes the program for `PLATFORMS` and any batch size; returns how many bytes.

  Beside it, in `description_of(path)`, stands what `describe` returns, as JSON.

  Raises:
    UserError: the networks are too many for one file, or it cannot be written.
  """
  if program.num_bytes > MOST_BYTES:
    sizes = f"{program.num_bytes / 1e9:.1f} GB, of {MOST_BYTES / 1e9:.1f} that a file"
    raise UserError(
      f"{len(networks.members)} networks have {sizes} can hold; export a run of fewer"
      " folds or seeds, such as one of --config.protocol=all"
    )
  (batch,) = export.symbolic_shape("b")
  like = {
    name: jax.ShapeDtypeStruct((batch, *shape), dtype)
    for name, (shape, dtype) in program.inputs.items()
  }
  made = export.export(jax.jit(program.function), platforms=PLATFORMS)(**like)
  content = bytes(made.serialize())
  about = describe(program, networks) | {
    "platforms": list(PLATFORMS),
    "sha256": hashlib.sha256(content).hexdigest(),
  }
  write_atomically(path, content)
  write_atomically(description_of(path), json.dumps(about, indent=2) + "\n")
  return len(content)


def read_artefact(path: Path) -> Callable[..., dict[str, jax.Array]]:
  """(**inputs) -> outputs of a file that `write_artefact` wrote."""
  return jax.jit(export.deserialize(bytearray(path.read_bytes())).call)


def description_of(path: Path) -> Path:
  """Where the words about a file stand."""
  return path.with_name(f"{path.name}.json")


def describe(program: Program, networks: Networks) -> dict[str, Any]:
  """What a user of the file has to know, for JSON."""
  inputs = {
    name: {
      "shape": ["N", *shape],
      "dtype": np.dtype(dtype).name,
      "meaning": _MEANINGS[name],
    }
    for name, (shape, dtype) in program.inputs.items()
  }
  outputs = {
    name: {"shape": ["N", len(AUS)], "dtype": "float32", "meaning": _MEANINGS[name]}
    for name in ("probabilities", "logits")
  }
  simulated = bool(networks.card.get("simulated"))
  return {
    "aus": [f"AU{au:02d} {AU_NAMES[au]}" for au in AUS],
    "warning": SIMULATED_WEIGHTS if simulated else None,
    "shown": f"an AU counts as shown where its probability is above {SHOWN:g}",
    "calibrated": networks.calibration is not None,
    "inputs": inputs,
    "outputs": outputs,
    "crop": {
      "size": networks.record_size,
      "eyes_centre": list(EYES_CENTRE),
      "eyes_apart": EYES_APART,
      "meaning": "upright; the point between the eyes and the distance between them, as"
      " fractions of the size; one alignment, found in the onset, for all crops",
    },
    "flow": networks.made.flow,
    "head": networks.made.head,
    "model": json.loads(json.dumps(networks.card, default=str)),
    "versions": versions(),
  }


def loading(path: Path, program: Program) -> str:
  """The lines that load a file, for people; they need JAX, and its flatbuffers."""
  given = ", ".join(f"{name}={name}" for name in program.inputs)
  return f"""\
import jax
from jax import export

with open({json.dumps(str(path), ensure_ascii=False)}, "rb") as file:
  model = export.deserialize(bytearray(file.read()))
ask = jax.jit(model.call)  # Compiled once per number of clips.
found = ask({given})
found["probabilities"], found["logits"]  # (N, 12) each
"""
