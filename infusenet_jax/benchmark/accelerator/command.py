"""Measures one part and writes its JSON, or makes tables of all that is there.

launch/measure.sh runs it part by part:

    python -m infusenet_jax.benchmark.accelerator PART --out OUT
    python -m infusenet_jax.benchmark.accelerator tables --out OUT
"""

import argparse
import json
import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from infusenet_jax.benchmark.accelerator import exactness, speed
from infusenet_jax.benchmark.accelerator.sizes import PUBLISHED, TINY, Sizes
from infusenet_jax.benchmark.accelerator.tables import markdown
from infusenet_jax.benchmark.machine import machine
from infusenet_jax.runtime.devices import keep_freed_memory
from infusenet_jax.runtime.errors import UserError
from infusenet_jax.runtime.files import read_json, write_atomically

# In this order: what is cheap and decides whether the rest is right comes first.
PARTS: dict[str, Callable[[Sizes], dict[str, Any]]] = {
  "parity": exactness.parity,
  "steps_bfloat16": partial(speed.steps, dtype="bfloat16"),
  "peers": speed.peers,
  "epoch": speed.epoch,
  "flow": speed.flow,
  "latents": speed.latents,
  "precision": exactness.precision,
  "steps_float32": partial(speed.steps, dtype="float32"),
}


AGAIN = "remove it, and measure that part again"


def main(arguments: Sequence[str] | None = None) -> None:
  """Does what the command line asks for."""
  flags = _parser().parse_args(arguments)
  if flags.list:
    print(*PARTS)
    return
  if not flags.part or not flags.out:
    raise UserError(f"expected PART --out OUT; PART is tables or {', '.join(PARTS)}")
  if flags.part == "tables":
    text = markdown(read_parts(flags.out))
    write_atomically(flags.out / "tables.md", text)
    print(text, end="")
    return
  if flags.part not in PARTS:
    raise UserError(f"{flags.part!r} is no part; expected tables or {', '.join(PARTS)}")
  # Or JAX takes most of a GPU's memory before PyTorch starts.
  os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
  keep_freed_memory()
  about = machine()
  found = PARTS[flags.part](TINY if flags.tiny else PUBLISHED)
  flags.out.mkdir(parents=True, exist_ok=True)
  content = {"machine": about, "tiny": flags.tiny} | found
  write_atomically(
    flags.out / f"{flags.part}.json", json.dumps(content, indent=2) + "\n"
  )


def read_parts(folder: Path) -> dict[str, dict[str, Any]]:
  """What was measured, by the part's name.

  Raises:
    UserError: nothing was, or a file is damaged.
  """
  paths = {part: folder / f"{part}.json" for part in PARTS}
  found = {
    part: read_json(path, AGAIN) for part, path in paths.items() if path.is_file()
  }
  if not found:
    raise UserError(
      f"--out {folder}: holds nothing that was measured; expected files such as"
      " parity.json"
    )
  return found


def _parser() -> argparse.ArgumentParser:
  parser = argparse.ArgumentParser(
    prog="python -m infusenet_jax.benchmark.accelerator",
    description=__doc__.splitlines()[0],
    formatter_class=argparse.ArgumentDefaultsHelpFormatter,
  )
  parser.add_argument("part", nargs="?", help=f"tables, or {', '.join(PARTS)}")
  parser.add_argument("--out", type=Path, help="folder of the numbers")
  parser.add_argument("--tiny", action="store_true", help="sizes for trying on a CPU")
  parser.add_argument("--list", action="store_true", help="print the parts' names")
  return parser
