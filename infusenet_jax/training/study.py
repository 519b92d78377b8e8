"""Trains many variants of one config, each as a run of its own, and compares them."""

import contextlib
import functools
import json
import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from ml_collections import ConfigDict

from infusenet_jax.evaluate.comparison import Row, compared, write_study
from infusenet_jax.evaluate.documents import About
from infusenet_jax.runtime.devices import is_main
from infusenet_jax.runtime.errors import UserError
from infusenet_jax.runtime.files import read_json
from infusenet_jax.runtime.run_files import CONFIG, results_exist
from infusenet_jax.runtime.text import duration
from infusenet_jax.runtime.workdir import config_differences, versions
from infusenet_jax.training.engine.config import check_config
from infusenet_jax.training.results import Results, read_results
from infusenet_jax.training.run import Records, load_records, train_and_evaluate
from infusenet_jax.training.simulated import say_if_simulated

_log = logging.getLogger(__name__)

# Fields of a study's config that the configs of its variants do not have.
OWN_FIELDS = ("study", "only")


def run(config: ConfigDict, workdir: str | Path) -> str | None:
  """Runs the variants that `config.only` names, or all, and writes the study's tables.

  Every variant is a run in `workdir`/<variant>. One that is finished is only read, and
  one that was interrupted goes on. The tables hold all finished variants, also those
  that `config.only` does not name. They are written to `workdir`/<study>.md, .csv,
  -by-au.csv and .json, and returned as text (None in all processes but the first).

  Args:
    config: a config that all variants share, with a field `study`, which has
      `variants`, {name: overrides of fields}; `tables`, ((title, ((row, variant),
      ...)), ...) in the order in which variants are run; and `reference`, the variant
      that the others are compared with, or "".
    workdir: folder of the study.

  Raises:
    UserError: `config.only` names an unknown variant, or a variant's run raises it.
    Preempted: SIGTERM came; the state of the variant in training is saved.
  """
  workdir = Path(workdir)
  variants = {name: variant_config(config, name) for name in every_variant(config)}
  for variant in variants.values():
    check_config(variant)
    if variant.protocol == "all":
      raise UserError(
        "config.protocol is 'all', which tests nothing, so a study has nothing to "
        "compare; expected 'cd6me' or 'loso'"
      )
  todo, load, results = chosen(config), _load_once(), {}
  start = time.monotonic()
  for number, name in enumerate(todo, start=1):
    _log.info("%s (%d of %d): begins", name, number, len(todo))
    begun = time.monotonic()
    with _quiet():
      results[name] = train_and_evaluate(variants[name], workdir / name, load)
    _log.info(
      "%s (%d of %d): done in %s, %s since the start",
      name,
      number,
      len(todo),
      duration(time.monotonic() - begun),
      duration(time.monotonic() - start),
    )
  if not is_main():
    return None
  for name, variant in variants.items():
    if name not in results and _finished(variant, workdir / name):
      results[name] = read_results(variant, workdir / name)
  rows = _rows(config, {name: results[name] for name in variants if name in results})
  simulated = any(found.predictions.simulated for found in results.values())
  text = write_study(
    workdir,
    config.study.name,
    rows,
    About(f"Study: {config.study.name}", simulated, config, versions()),
    tables=config.study.tables,
    reference=config.study.reference,
  )
  missing = [name for name in variants if name not in rows]
  if missing:
    _log.info("not finished, so not in the tables: %s", ", ".join(missing))
  return text


def _load_once() -> Callable[[ConfigDict], Records]:
  """Makes a `load_records` that reads again only if a variant needs other clips."""

  @functools.lru_cache(maxsize=1)
  def load(text: str) -> Records:
    config = ConfigDict(json.loads(text))
    say_if_simulated(config)
    return load_records(config)

  fields = ("data_dir", "record_size", "image_size", "simulated")
  return lambda config: load(
    ConfigDict({name: config[name] for name in fields}).to_json()
  )


def every_variant(config: ConfigDict) -> list[str]:
  """Lists the variants in all tables, each once."""
  names = (variant for _, rows in config.study.tables for _, variant in rows)
  return list(dict.fromkeys(names))


def chosen(config: ConfigDict) -> list[str]:
  """Lists the variants that `config.only` names, in its order, or all if it is empty.

  Raises:
    UserError: `config.only` names a variant that is in none of the study's tables.
  """
  variants = every_variant(config)
  only = [name.strip() for name in config.only.split(",") if name.strip()]
  for name in only:
    if name not in variants:
      raise UserError(
        f"config.only names {name!r}, which is no variant of the study "
        f"{config.study.name}; expected some of {', '.join(variants)}"
      )
  return only or variants


def variant_config(config: ConfigDict, name: str) -> ConfigDict:
  """Makes the config of one variant's run.

  Raises:
    UserError: the variant overrides a field that the config does not have.
  """
  variant = config.copy_and_resolve_references()
  with variant.unlocked():
    for field in OWN_FIELDS:
      del variant[field]
    variant.task, variant.name = "cd6me", name
  variant.lock()
  try:
    variant.update(config.study.variants[name])
  except (AttributeError, KeyError, TypeError) as error:
    raise UserError(
      f"config.study.variants: {name} does not fit the config "
      f"({str(error).splitlines()[0]})"
    ) from error
  return variant


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
  """Keeps the log of a variant's run out of the study's, in which it would bury it.

  It goes to the run's own log file alone.
  """
  before = {
    handler: handler.level for handler in logging.getLogger("infusenet_jax").handlers
  }
  for handler in before:
    handler.setLevel(logging.WARNING)
  try:
    yield
  finally:
    for handler, level in before.items():
      handler.setLevel(level)


def _rows(config: ConfigDict, results: dict[str, Results]) -> dict[str, Row]:
  """Compares every finished variant with the reference."""
  reference = results.get(config.study.reference)
  return {
    name: compared(
      found.tables,
      found.predictions,
      reference and reference.predictions,
      found.fitted,
    )
    for name, found in results.items()
  }


def _finished(config: ConfigDict, workdir: Path) -> bool:
  if not results_exist(workdir):
    return False
  same = not config_differences(
    read_json(workdir / CONFIG, "move the folder away"), config
  )
  if not same:
    _log.warning("%s holds a run of another config: left out", workdir)
  return same
