"""The folders of prepared records: which databases are there, how they were made."""

from pathlib import Path
from typing import Any

from infusenet_jax.clips.labels import DATABASES, in_order, is_database
from infusenet_jax.runtime.errors import UserError
from infusenet_jax.runtime.files import read_json

METADATA = "metadata.json"
INFO = "dataset_info.json"


def simulated_records_folder(folder: str | Path, size: int) -> Path:
  """Where the records of `size` px of the databases simulated in `folder` lie."""
  return Path(folder) / f"records-{size}"


def prepared_databases(data_dir: str | Path) -> dict[str, Path]:
  """The databases that have finished records in `data_dir`.

  The six come first, in the protocol's order, then those of the user's own by name.
  """
  found = {}
  for info in sorted(Path(data_dir).glob(f"*/*/{INFO}")):
    if is_database(key := info.parents[1].name):
      found[key] = info.parent
  return {key: found[key] for key in in_order(found)}


def find_records(data_dir: str | Path) -> dict[str, Path]:
  """The prepared databases of `config.data_dir`.

  Raises:
    UserError: there are none.
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
  """How many clips each database has in the records of `data_dir`, without reading.

  Raises:
    UserError: a dataset_info.json that is not what TFDS writes.
  """
  return {
    key: sum(shard_lengths(folder))
    for key, folder in prepared_databases(data_dir).items()
  }


def shard_lengths(folder: Path) -> list[int]:
  """How many clips each file of one database's records holds, as TFDS noted it.

  Raises:
    UserError: a dataset_info.json that is not what TFDS writes.
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
  """What `data_prep build` noted of one database's records.

  Its field `simulated` says whether the clips were drawn by the simulator.

  Raises:
    UserError: metadata.json cannot be read, or does not say that.
  """
  path = folder / METADATA
  content = read_json(path, _again(folder))
  if not isinstance(content.get("simulated"), bool):
    raise UserError(
      f"{path}: its field 'simulated' is {content.get('simulated')!r}, expected true "
      f"or false; {_again(folder)}"
    )
  return content


def require_frames(data_dir: str | Path) -> None:
  """Refuses records that were made of flow alone.

  Raises:
    UserError: there are some in `data_dir`.
  """
  for folder in prepared_databases(data_dir).values():
    if read_metadata(folder).get("frames") is False:
      raise UserError(
        f"{folder}: holds flow and no frames, which config.model looks at; build it "
        "with its frames, or take a network on flow such as --config=published:sssnet"
      )


def records_identity(data_dir: str | Path) -> dict[str, str]:
  """What each database's records were made from, as `data_prep build` noted it.

  Raises:
    UserError: as `read_metadata`.
  """
  return {
    key: str(read_metadata(folder).get("fingerprint"))
    for key, folder in prepared_databases(data_dir).items()
  }


def damaged(folder: Path, reason: str) -> UserError:
  """The error of records that are not what `data_prep build` wrote."""
  return UserError(f"{folder}: these records cannot be read ({reason}); {_again('it')}")


def _again(folder: Path | str) -> str:
  return f"delete {folder} and run `python -m data_prep build` again"
