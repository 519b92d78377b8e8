"""A run's networks on other records: predictions, and the protocol's tables of them.

A clip may only be predicted by networks that were not trained on its database:

* by those of the fold that left it out, where the run has that fold, so that a run on
  its own databases gets what it had (of other clips of them, too: the same people may
  be in both);
* by all networks, averaged, where the run knows nothing of the database;
* by none otherwise: the command refuses.

Simulated clips of a database are drawn, so networks trained on those have not seen the
real ones, nor the other way round. In predictions.csv `fold` says what was left out of
the training of what predicted the clip: its database or, in a run of protocol "loso",
"database/subject".
"""

import dataclasses
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from infusenet_jax.clips.labels import database_name
from infusenet_jax.clips.prepared import (
  find_records,
  read_metadata,
  require_frames,
  require_offset,
)
from infusenet_jax.clips.records import Clips, load_clips
from infusenet_jax.clips.schema import frames_held
from infusenet_jax.evaluate.documents import About
from infusenet_jax.evaluate.predictions import (
  Predictions,
  concatenate,
  write_predictions,
)
from infusenet_jax.evaluate.report.page import write_report
from infusenet_jax.evaluate.scores import cd6me_tables
from infusenet_jax.evaluate.tables import format_tables, write_tables
from infusenet_jax.predict.weights.networks import Networks, load_run
from infusenet_jax.runtime.errors import UserError
from infusenet_jax.runtime.files import lock
from infusenet_jax.runtime.run_files import PREDICTIONS
from infusenet_jax.runtime.workdir import versions
from infusenet_jax.training.engine.config import sees_frames, sees_offset

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Group:
  """Clips that the same networks predict.

  Attributes:
    fold: what those were not trained on, as predictions.csv says it.
    clips: (N,) bool.
    members: places in `Networks.members`.
  """

  fold: str
  clips: np.ndarray
  members: tuple[int, ...]


def predict_records(
  run: str | Path,
  records: str | Path,
  out: str | Path,
  databases: Sequence[str] | None = None,
) -> str:
  """Predicts records with the networks of a run; writes predictions, tables, report.

  Args:
    run: a finished run's folder, or a file of packed networks.
    records: a folder of prepared records.
    out: folder to be written.
    databases: of the records; all that are there if left out.

  Returns:
    The tables, to be printed.

  Raises:
    UserError: no run or no records there, records of databases that all networks were
      trained on, or `out` is the run's own folder or cannot be written.
  """
  run, records, out = Path(run), Path(records), Path(out)
  if out.resolve() == run.resolve():
    raise UserError(f"--out {out}: is the run's own folder; name another")
  found = find_records(records)
  unknown = [key for key in databases or () if key not in found]
  if unknown:
    raise UserError(
      f"{records}: no records of {', '.join(unknown)}; found {', '.join(found)}"
    )
  networks = load_run(run)
  found = {key: found[key] for key in databases or found}
  kinds = {key: read_metadata(folder)["simulated"] for key, folder in found.items()}
  refuse_seen(networks, kinds, records)
  if sees_frames(networks.config):
    require_frames(records)
  if sees_offset(networks.config):
    require_offset(records)
  _warn_of_other_flow(networks, found)
  with lock(out):
    clips = load_clips(records, networks.image_size, list(found))
    predictions = predict_clips(networks, clips, kinds)
    about = About(
      title(networks, records, clips.simulated),
      predictions.simulated,
      config={"run": networks.card, "records": str(records)},
      versions=versions(),
    )
    tables = cd6me_tables(predictions)
    write_predictions(out / PREDICTIONS, predictions)
    write_report(
      out / "report.html",
      about,
      tables=tables,
      predictions=predictions,
    )
    write_tables(out, tables, about)
  return (
    f"{format_tables(tables, about)}\nWritten to {out}: report.html, results.json,\n"
    "results.md, au_table.csv, database_table.csv, predictions.csv\n"
  )


def title(networks: Networks, records: Path, simulated: bool) -> str:
  """What was trained on which kind of faces, and tested on what.

  The headings add that the clips are simulated, where they are.
  """
  card = networks.card
  trained = "simulated faces" if card["simulated"] else "licensed clips"
  if card["simulated"] == simulated:
    return f"{card['name']} on {records.absolute().name}, trained on {trained}"
  tested = "simulated" if simulated else "real"
  return (
    f"{card['name']}, trained on {trained}, on {tested} clips of "
    f"{records.absolute().name}: for trying out, not for conclusions"
  )


def refuse_seen(networks: Networks, kinds: dict[str, bool], records: Path) -> None:
  """Refuses databases that every network of a run was trained on.

  Args:
    networks: of the run.
    kinds: {database: whether its clips are simulated}.
    records: their folder, for the error.

  Raises:
    UserError: naming them.
  """
  seen = [
    key
    for key, simulated in kinds.items()
    if _is_known(networks, key, simulated) and not _left_out(networks, key)
  ]
  if not seen:
    return
  names = ", ".join(map(database_name, seen))
  others = [key for key in kinds if key not in seen]
  advice = f"predict the others alone (--databases {' '.join(others)}), or " * any(
    others
  )
  raise UserError(
    f"{records}: holds clips of {names}, which all networks of {networks.card['name']} "
    f"were trained on, so a score on them would say nothing; {advice}take a run that "
    "left them out (config.protocol='cd6me')"
  )


def _is_known(networks: Networks, key: str, simulated: bool) -> bool:
  """Whether any network of the run was trained on such clips of a database."""
  card, made = networks.card, networks.made
  same_kind = simulated == card["simulated"] or not made.one_kind
  return same_kind and database_name(key) in card["databases"]


def _left_out(networks: Networks, key: str) -> list[int]:
  """The places of the networks of folds that left out a database or some of it."""
  return [
    place
    for place, (_, fold) in enumerate(networks.members)
    if fold.split("/")[0] == key
  ]


def who_predicts(
  networks: Networks, clips: Clips, kinds: dict[str, bool]
) -> list[Group]:
  """Which networks may predict which clips.

  Args:
    networks: of the run.
    clips: to be predicted.
    kinds: {database: whether its clips are simulated}.

  Raises:
    UserError: a subject of a database that a run of protocol "loso" was trained on is
      in none of its folds.
  """
  groups = []
  for key, simulated in kinds.items():
    mine = clips.database == key
    own = _left_out(networks, key)
    if not _is_known(networks, key, simulated):
      groups.append(Group(key, mine, tuple(range(len(networks.members)))))
    elif networks.config.protocol == "cd6me":
      groups.append(Group(key, mine, tuple(own)))
    else:
      for who in dict.fromkeys(clips.subject[mine].tolist()):
        fold = f"{key}/{who}"
        members = tuple(i for i in own if networks.members[i][1] == fold)
        if not members:
          raise UserError(
            f"{networks.card['name']}: has no fold {fold}, and all its others were "
            f"trained on {database_name(key)}; expected a run that left it out "
            "(config.protocol='cd6me')"
          )
        groups.append(Group(fold, mine & (clips.subject == who), members))
  return groups


def predict_clips(
  networks: Networks, clips: Clips, kinds: dict[str, bool]
) -> Predictions:
  """What the networks say of clips that they were not trained on, seed by seed.

  Logits are as they are, not calibrated: their sign decides, as in the run's tables.

  Args:
    networks: of a run.
    clips: of `networks.image_size` pixels.
    kinds: {database: whether its clips are simulated}.

  Raises:
    UserError: as `who_predicts`.
  """
  config = networks.config
  frames = {}
  if sees_frames(config):
    frames = clips.frames(frames_held(sees_offset(config)))
  parts = []
  for group in who_predicts(networks, clips, kinds):
    rows = np.flatnonzero(group.clips)
    if not len(rows):
      continue
    seen = {name: x[rows] for name, x in ({"flow": clips.flow} | frames).items()}
    for seed in sorted({networks.members[i][0] for i in group.members}):
      chosen = [i for i in group.members if networks.members[i][0] == seed]
      parts.append(
        Predictions(
          database=clips.database[rows],
          subject=clips.subject[rows],
          clip=clips.clip[rows],
          fold=np.full(len(rows), group.fold),
          seed=np.full(len(rows), seed),
          logits=networks.logits(seen, chosen),
          labels=clips.labels[rows],
          simulated=clips.simulated,
        )
      )
  return dataclasses.replace(concatenate(parts), simulated=clips.simulated)


def _warn_of_other_flow(networks: Networks, found: dict[str, Path]) -> None:
  made = networks.made
  for key, folder in found.items():
    metadata = read_metadata(folder)
    theirs = tuple(
      metadata.get(x, getattr(made, x)) for x in ("flow", "strain", "head")
    )
    ours = made.flow, made.strain, made.head
    if theirs != ours:
      _log.warning(
        "%s: flow, strain and the head's motion of %s are %s, %s and %s, but the "
        "networks were trained on %s, %s and %s; scores may be lower for that",
        folder,
        key,
        *theirs,
        *ours,
      )
