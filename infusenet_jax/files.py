"""Files that are whole or not there. Needs no JAX."""

import os
from pathlib import Path


def write_atomically(path: str | os.PathLike, text: str) -> None:
  """Writes `text` as it is, in UTF-8: a killed process leaves the old file or this."""
  path = Path(path)
  draft = path.with_name(f".{path.name}.{os.getpid()}")
  draft.write_text(text, encoding="utf-8", newline="")
  os.replace(draft, path)
