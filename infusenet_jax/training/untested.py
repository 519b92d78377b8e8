"""What a run of protocol "all" ends with: networks to be used, no tables.

Every clip was trained on, so there is nothing that a score could be computed from.
results.json and results.md say what was trained; the latter marks the run as finished.
"""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from infusenet_jax.clips.labels import database_name, in_order
from infusenet_jax.clips.records import Clips
from infusenet_jax.evaluate.documents import (
  About,
  markdown_ending,
  markdown_text,
  subtitle,
  to_json,
)
from infusenet_jax.evaluate.run import about_run
from infusenet_jax.runtime.files import read_json, write_atomically
from infusenet_jax.runtime.run_files import LAST_WRITTEN, RESULTS, fold_folder
from infusenet_jax.runtime.workdir import versions
from infusenet_jax.training.engine.experiment import CHECKPOINTS


@dataclass(frozen=True)
class Untested:
  """A finished run that left nothing out.

  Attributes:
    about: title, config and versions.
    workdir: of the run.
    clips: {database: how many were trained on}.
  """

  about: About
  workdir: Path
  clips: dict[str, int]

  def lines(self) -> list[str]:
    """What was trained, and where the weights lie."""
    config = self.about.config
    names = ", ".join(map(database_name, self.clips))
    seeds = ", ".join(map(str, config["seeds"]))
    seeds = f"seed{'s' if len(config['seeds']) > 1 else ''} {seeds}"
    folders = [
      fold_folder(self.workdir, seed, "all") / CHECKPOINTS for seed in config["seeds"]
    ]
    return [
      f"Trained on all {sum(self.clips.values())} clips of {names}; {seeds}",
      "Nothing was left out, so nothing was tested: no tables",
      f"Weights: {', '.join(map(str, folders))}",
    ]

  def text(self) -> str:
    """The same for a terminal, and how to use them."""
    return "\n".join(
      [
        subtitle(self.about.title, self.about.data),
        *self.lines(),
        f"Use them: python -m infusenet_jax.predict VIDEO --run {self.workdir}\n",
      ]
    )


def write_untested(config: ConfigDict, workdir: Path, clips: Clips) -> Untested:
  """Writes results.json and, last, results.md."""
  counts = Counter(clips.database.tolist())
  counts = {key: counts[key] for key in in_order(counts)}
  found = Untested(about_run(config, clips.simulated, versions()), workdir, counts)
  about = found.about
  content = {
    "title": subtitle(about.title, about.data),
    "simulated": bool(about.simulated),
    "tested": False,
    "clips": counts,
    "seeds": config.seeds,
    "config": about.config,
    "versions": about.versions,
  }
  write_atomically(workdir / RESULTS, to_json(content) + "\n")
  lines = [f"# {markdown_text(subtitle(about.title, about.data))}", ""]
  lines += [f"* {markdown_text(line)}" for line in found.lines()]
  lines += markdown_ending(about)
  write_atomically(workdir / LAST_WRITTEN, "\n".join(lines) + "\n")
  return found


def read_untested(config: ConfigDict, workdir: Path) -> Untested:
  """What `write_untested` wrote.

  Raises:
    UserError: results.json cannot be read.
  """
  content: dict[str, Any] = read_json(workdir / RESULTS, "train in another --workdir")
  about = about_run(config, bool(content.get("simulated")), versions())
  return Untested(about, workdir, dict(content.get("clips", {})))
