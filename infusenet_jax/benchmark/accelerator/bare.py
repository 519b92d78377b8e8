"""Makes do without ml_collections and tqdm, which a machine lent for an hour lacks.

A config is a dictionary then whose entries are attributes too, and no progress is
shown. Nothing else of the two is used by what is measured.
"""

import copy
import importlib
import json
import sys
from collections.abc import Iterable
from types import ModuleType
from typing import Any


class ConfigDict(dict):
  """A dictionary whose entries are attributes; dictionaries in it become such too."""

  def __init__(self, entries: dict[str, Any] | None = None):
    super().__init__()
    self.update(entries or {})

  def update(self, entries: dict[str, Any]) -> None:
    """Takes the entries, one by one."""
    for name, value in entries.items():
      setattr(self, name, value)

  def __getattr__(self, name: str) -> Any:
    try:
      return self[name]
    except KeyError:
      raise AttributeError(name) from None

  def __setattr__(self, name: str, value: Any) -> None:
    plain = isinstance(value, dict) and not isinstance(value, ConfigDict)
    self[name] = ConfigDict(value) if plain else value

  def __deepcopy__(self, seen: dict) -> "ConfigDict":
    return ConfigDict({name: copy.deepcopy(value) for name, value in self.items()})

  def copy_and_resolve_references(self) -> "ConfigDict":
    """A copy that shares nothing."""
    return copy.deepcopy(self)

  def to_json_best_effort(self) -> str:
    """All entries as JSON."""
    return json.dumps(self, default=str)


def _no_progress(steps: Iterable, **_) -> Iterable:
  return steps


def stand_in() -> None:
  """Puts the two in the place of those packages that are not installed.

  To be called before anything is imported that needs them.
  """
  for name, entries in (
    ("ml_collections", {"ConfigDict": ConfigDict}),
    ("tqdm", {"tqdm": _no_progress}),
  ):
    try:
      importlib.import_module(name)
    except ImportError:
      sys.modules[name] = ModuleType(name)
      vars(sys.modules[name]).update(entries)
