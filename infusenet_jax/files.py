"""Files that are whole or not there. Needs no JAX."""

import contextlib
import os
from pathlib import Path

from infusenet_jax.errors import UserError


def write_atomically(path: str | os.PathLike, content: str | bytes) -> None:
  """Writes `content` as it is, text in UTF-8: a killed process leaves the old or this.

  Raises:
    UserError: there is no room, or no right to write.
  """
  path = Path(path)
  draft = path.with_name(f".{path.name}.{os.getpid()}")
  try:
    draft.write_bytes(content.encode() if isinstance(content, str) else content)
    os.replace(draft, path)
  except OSError as error:
    with contextlib.suppress(OSError):
      draft.unlink(missing_ok=True)
    raise UserError(
      f"{path}: cannot be written ({error.strerror or error}); put that right (make "
      "room), then run the same command again"
    ) from error
