"""Writes a program as ONNX, by jax2onnx, an extra."""

import importlib
import json
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np
from jax import export

from infusenet_jax.models import lowering
from infusenet_jax.predict.export.artefact import describe, description_of
from infusenet_jax.predict.export.program import Program
from infusenet_jax.predict.weights.networks import Networks
from infusenet_jax.runtime.errors import UserError
from infusenet_jax.runtime.files import write_atomically

OUTPUTS = ["probabilities", "logits"]
EXTRA = "pip install 'infusenet-jax[onnx]'"


def write_onnx(program: Program, networks: Networks, path: Path) -> int:
  """Writes the program for any batch size; returns how many bytes.

  What `artefact.describe` returns is in the file's metadata, and beside it as JSON.

  Raises:
    UserError: the extra is not installed, or the file cannot be written.
  """
  try:
    converter = importlib.import_module("jax2onnx")
  except ImportError as error:
    raise UserError(
      f"--out {path}: .onnx needs the extra `onnx` ({error}); {EXTRA}"
    ) from error
  names = list(program.inputs)

  def positional(*given: jax.Array) -> tuple[jax.Array, ...]:
    with lowering.plain_forms():
      found = program.function(**dict(zip(names, given, strict=True)))
    return tuple(found[name] for name in OUTPUTS)

  batch = 1
  like = [
    jax.ShapeDtypeStruct((batch, *shape), dtype)
    for shape, dtype in program.inputs.values()
  ]
  model = converter.to_onnx(
    positional,
    like,
    model_name=program.function.__name__,
    input_names=names,
    output_names=OUTPUTS,
  )
  about = describe(program, networks)
  for name, value in about.items():
    entry = model.metadata_props.add()
    entry.key, entry.value = name, json.dumps(value)
  content = model.SerializeToString()
  write_atomically(path, content)
  write_atomically(description_of(path), json.dumps(about, indent=2) + "\n")
  return len(content)


def ask_onnx(path: Path) -> Callable[..., dict[str, np.ndarray]]:
  """(**inputs) -> outputs of a file, by onnxruntime on the CPU."""
  runtime = importlib.import_module("onnxruntime")
  session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])

  def ask(**given: np.ndarray) -> dict[str, np.ndarray]:
    return dict(zip(OUTPUTS, session.run(OUTPUTS, given), strict=True))

  return ask


def loading_onnx(path: Path, program: Program) -> str:
  """The lines that load a file, for people; they need onnxruntime alone."""
  given = ", ".join(f'"{name}": {name}' for name in program.inputs)
  return f"""\
import onnxruntime

model = onnxruntime.InferenceSession({json.dumps(str(path), ensure_ascii=False)})
probabilities, logits = model.run({json.dumps(OUTPUTS)}, {{{given}}})  # (N, 12) each
"""
