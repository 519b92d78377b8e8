"""Folders of prepared records: which databases they hold and how those were made."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from infusenet_jax.clips.labels import DATABASES, in_order, is_database
from infusenet_jax.clips.schema import HEADS, OFFSET, UNSAID
from infusenet_jax.runtime.errors import UserError
from infusenet_jax.runtime.files import read_json

METADATA = "metadata.json"
INFO = "dataset_info.json"


def simulated_records_folder(simulated: Mapping[str, Any], size: int) -> Path:
  """Names the folder in which records of simulated databases lie.

  Args:
    simulated: a config's field `simulated`, of which `dir`, `head` and `offset` count.
    size: of the records, pixels.
  """
  head = head_of(simulated)
  without = "" if head == HEADS[0] else f"-head-{head}"
  beside = f"-{OFFSET}" if offset_of(simulated) else ""
  return Path(simulated["dir"]) / f"records-{size}{without}{beside}"


def head_of(simulated: Mapping[str, Any]) -> str:
  """Returns what becomes of the head's motion, of `HEADS`; older configs keep it."""
  return simulated.get("head", HEADS[0])


def offset_of(simulated: Mapping[str, Any]) -> bool:
  """Returns whether records hold the offset; those of older configs do not."""
  return simulated.get("offset", False)


def prepared_databases(data_dir: str | Path) -> dict[str, Path]:
  """Finds the databases that have finished records in `data_dir`.

  The six of CD6ME come first, in the order of its folds, then others by name.

  Returns:
    {key: folder of its records}.
  """
  found = {}
  for info in sorted(Path(data_dir).glob(f"*/*/{INFO}")):
    if is_database(key := info.parents[1].name):
      found[key] = info.parent
  return {key: found[key] for key in in_order(found)}


def find_records(data_dir: str | Path) -> dict[str, Path]:
  """Finds the prepared databases as `prepared_databases` does, and at least one.

  Raises:
    UserError: `data_dir` holds no prepared records.
  """
  found = prepared_databases(data_dir)
  if not found:
    raise UserError(
      f"config.data_dir={data_dir}: no prepared records found there (looked for "
      f"{next(iter(DATABASES))}/1.0.0/dataset_info.json and so on); make them with "
      "`python -m data_prep build --root DATABASES --out DIR`, or leave "
      "config.data_dir empty to use simulated databases"
    )
  return found


def count_clips(data_dir: str | Path) -> dict[str, int]:
  """Counts the clips of each database in `data_dir` without reading its records.

  Raises:
    UserError: a dataset_info.json that is not as TFDS writes it.
  """
  return {
    key: sum(shard_lengths(folder))
    for key, folder in prepared_databases(data_dir).items()
  }


def shard_lengths(folder: Path) -> list[int]:
  """Reads how many clips each file of a database's records holds, from TFDS's notes.

  Raises:
    UserError: a dataset_info.json that is not as TFDS writes it.
  """
  path = folder / INFO
  content = read_json(path, _again(folder))
  try:
    splits = content["splits"]
    return [int(length) for split in splits for length in split["shardLengths"]]
  except (KeyError, TypeError, ValueError) as error:
    raise UserError(
      f"{path}: says nothing of how many clips there are; {_again(folder)}"
    ) from error


def read_metadata(folder: Path) -> dict[str, Any]:
  """Reads the metadata.json that `data_prep build` wrote for one database.

  Its fields are described in schema.py. One of them, `simulated`, says whether the
  clips were drawn by the simulator. What it leaves out is added (`schema.UNSAID`).

  Raises:
    UserError: metadata.json cannot be read, or its field `simulated` is not a boolean.
  """
  path = folder / METADATA
  content = read_json(path, _again(folder))
  if not isinstance(content.get("simulated"), bool):
    raise UserError(
      f"{path}: its field 'simulated' is {content.get('simulated')!r}, expected true "
      f"or false; {_again(folder)}"
    )
  return UNSAID | content


def require_frames(data_dir: str | Path) -> None:
  """Refuses records that hold flow but no frames.

  Raises:
    UserError: a database in `data_dir` was built from flow alone.
  """
  for folder in prepared_databases(data_dir).values():
    if read_metadata(folder).get("frames") is False:
      raise UserError(
        f"{folder}: holds flow and no frames, which config.model looks at; build it "
        "with its frames, or take a network on flow such as --config=published:sssnet"
      )


def require_offset(data_dir: str | Path) -> None:
  """Refuses records without the frame at the offset.

  Raises:
    UserError: a database in `data_dir` was built without it.
  """
  for folder in prepared_databases(data_dir).values():
    if not read_metadata(folder)["offset"]:
      raise UserError(
        f"{folder}: was built without the offset, which config.model.reference looks "
        "at; build it with `python -m data_prep build --offset` into another folder, "
        "or set config.model.reference=''"
      )


def records_identity(data_dir: str | Path) -> dict[str, str]:
  """Reads the fingerprint of what each database's records were made from.

  Returns:
    {key: fingerprint}; equal fingerprints stand for equal frames and annotations.

  Raises:
    UserError: as in `read_metadata`.
  """
  return {
    key: str(read_metadata(folder).get("fingerprint"))
    for key, folder in prepared_databases(data_dir).items()
  }


def without_head(data_dir: str | Path) -> list[str]:
  """Names the databases whose records were made without the head's own motion.

  Raises:
    UserError: as in `read_metadata`.
  """
  folders = prepared_databases(data_dir).items()
  return [key for key, folder in folders if read_metadata(folder)["head"] != HEADS[0]]


def damaged(folder: Path, reason: str) -> UserError:
  """Makes the error for records that are not as `data_prep build` writes them."""
  return UserError(f"{folder}: these records cannot be read ({reason}); {_again('it')}")


def _again(folder: Path | str) -> str:
  return f"delete {folder} and run `python -m data_prep build` again"
