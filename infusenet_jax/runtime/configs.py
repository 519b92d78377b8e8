"""Config files: those that ship with the package, by name, and any other by its path.

They lie in configs/ of a clone, and in infusenet_jax/configs/ of an installed wheel.
"""

import difflib
import functools
import importlib.util
import math
import traceback
from pathlib import Path
from types import ModuleType

from ml_collections import ConfigDict

from infusenet_jax.runtime.errors import UserError

_PACKAGE = Path(__file__).parents[1]
_FOLDERS = (_PACKAGE / "configs", _PACKAGE.parent / "configs")

# Of each task the shipped config whose fields every config of that task has, and the
# fields among them that are free: what a study's variants change.
_PATTERNS = {
  "cd6me": "cd6me",
  "distill": "distill",
  "magnifier": "magnifier",
  "study": "study",
  "svm": "published:svm",
}
_FREE = ("study.variants", "published")


def shipped_names() -> list[str]:
  """The names of the configs that ship, as --config takes them."""
  return sorted(path.stem for path in _folder().glob("[!_]*.py"))


@functools.cache
def shipped(name: str) -> ModuleType:
  """Loads a config that ships, for configs that build on it.

  >>> config = shipped("cd6me").get_config()

  Args:
    name: of the file, without its folder and ending.

  Raises:
    UserError: there is none of that name, or it cannot be loaded.
  """
  if name not in shipped_names():
    raise UserError(
      f"--config={name}: no config of that name ships; expected one of "
      f"{', '.join(shipped_names())}, or the path of a file such as my_config.py"
    )
  return _module(_folder() / f"{name}.py")


def config_file(value: str) -> str:
  """The file that --config means, with the argument of its `get_config` after a colon.

  Args:
    value: the name of a shipped config or a path, and perhaps a colon and an argument.

  Raises:
    UserError: neither a config of that name nor such a file is there.
  """
  given, colon, argument = value.partition(":")
  path = Path(given)
  if path.suffix != ".py" and len(path.parts) <= 1 and not path.is_file():
    path = Path(shipped(given).__file__)
  elif not path.is_file():
    name = f"; --config={path.stem} names one that ships"
    if path.stem not in shipped_names():
      name = f", or one of those that ship: {', '.join(shipped_names())}"
    raise UserError(f"--config={given}: no such file; expected a config file{name}")
  return f"{path}{colon}{argument}"


def load_config(value: str) -> ConfigDict:
  """What `get_config` of a config file returns.

  Args:
    value: as --config has it.

  Raises:
    UserError: there is no such file, it does not run, it has no `get_config`, or that
      returns no config; with the line of the file where it stopped.
  """
  path, colon, argument = config_file(value).partition(":")
  make = getattr(_module(Path(path)), "get_config", None)
  if not callable(make):
    raise UserError(
      f"{path}: has no function get_config; expected one that returns a ConfigDict, as "
      f"in {_folder() / 'cd6me.py'}"
    )
  try:
    config = make(*[argument] * bool(colon))
  except UserError:
    raise
  except Exception as error:  # Whatever a file of the user's raises.
    raise UserError(_one_line(Path(path), error)) from error
  if not isinstance(config, ConfigDict):
    raise UserError(
      f"{path}, line {make.__code__.co_firstlineno}: get_config returns "
      f"{type(config).__name__}; expected a ConfigDict (is `return config` missing?)"
    )
  if wrong := _wrong_fields(config):
    raise UserError(f"{path}, line {make.__code__.co_firstlineno}: {wrong}")
  return config


def check_values(config: ConfigDict) -> None:
  """Refuses fields that hold another kind of value than in the config that ships.

  Numbers are finite, whole where they count something, and no booleans.

  Raises:
    UserError: naming the field, what it holds and what it may hold.
  """
  pattern = _pattern(config)
  for field, value in config_fields(config).items():
    if field in pattern and (expected := _other_kind(value, pattern[field])):
      raise UserError(f"config.{field} is {value!r}; expected {expected}")


def config_fields(config: ConfigDict, prefix: str = "") -> dict[str, object]:
  """All fields of a config by their dotted names, such as "train.epochs"."""
  fields = {}
  for name, value in config.items():
    if isinstance(value, ConfigDict):
      fields |= config_fields(value, f"{prefix}{name}.")
    else:
      fields[prefix + name] = value
  return fields


def _folder() -> Path:
  return next((folder for folder in _FOLDERS if folder.is_dir()), _FOLDERS[-1])


def _module(path: Path) -> ModuleType:
  spec = importlib.util.spec_from_file_location(f"{path.stem}_config", path)
  if spec is None:  # Python knows no such ending.
    raise UserError(f"--config={path}: expected a Python file, which ends in .py")
  module = importlib.util.module_from_spec(spec)
  try:
    spec.loader.exec_module(module)
  except UserError:
    raise
  except Exception as error:  # Whatever a file of the user's raises.
    raise UserError(_one_line(path, error)) from error
  return module


def _one_line(path: Path, error: Exception) -> str:
  """The error with the last line of `path` that it passed through."""
  if isinstance(error, SyntaxError) and error.filename == str(path):
    return f"{path}, line {error.lineno}: {error.msg}; mend that line"
  frames = traceback.extract_tb(error.__traceback__)
  lines = [frame.lineno for frame in frames if frame.filename == str(path)]
  place = f"{path}, line {lines[-1]}" if lines else str(path)
  said = (str(error).splitlines() or [""])[0]
  return f"{place}: {type(error).__name__}: {said}; mend that line"


def _pattern(config: ConfigDict) -> dict[str, object]:
  """The fields that every config of its task has, with the values that ship."""
  named = _PATTERNS.get(config.get("task", "cd6me"))
  if named is None:
    return {}
  name, colon, argument = named.partition(":")
  shown = config_fields(shipped(name).get_config(*[argument] * bool(colon)))
  free = tuple(f"{field}." for field in _FREE)
  return {name: value for name, value in shown.items() if not name.startswith(free)}


def _wrong_fields(config: ConfigDict) -> str:
  """What a config lacks that every config of its task has, or has misspelt; or ""."""
  pattern, fields = _pattern(config), config_fields(config)
  for field in fields.keys() - pattern.keys():
    if nearest := difflib.get_close_matches(field, pattern, 1, 0.9):
      return f"config.{field} is no field of a config; is config.{nearest[0]} meant?"
  if missing := [field for field in pattern if field not in fields]:
    more = f" and {len(missing) - 3} more" * (len(missing) > 3)
    name = _PATTERNS[config.get("task", "cd6me")].partition(":")[0]
    return (
      "get_config returns a config without "
      f"{', '.join(f'config.{field}' for field in missing[:3])}{more}; begin with "
      f'config = shipped("{name}").get_config() of infusenet_jax.runtime.configs'
    )
  return ""


def _other_kind(value: object, like: object) -> str:
  """What is expected in the place of a value of another kind than `like`; or ""."""
  if isinstance(like, bool):
    return "" if isinstance(value, bool) else "True or False"
  if isinstance(like, str):
    return "" if isinstance(value, str) else "a text"
  if isinstance(like, tuple):
    return "" if isinstance(value, (tuple, list)) else "several values, such as (1, 2)"
  number = isinstance(value, (int, float)) and not isinstance(value, bool)
  if isinstance(like, int):
    whole = number and isinstance(value, int) and abs(value) < 2**63
    return "" if whole else "a whole number below 2^63"
  if isinstance(like, float):
    return "" if number and math.isfinite(value) else "a finite number"
  return ""
