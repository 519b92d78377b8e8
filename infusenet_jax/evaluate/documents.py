"""Titles of results, and JSON, CSV and Markdown that name config and versions."""

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from infusenet_jax.clips.labels import DATABASES
from infusenet_jax.evaluate.scores import Tables


@dataclass(frozen=True)
class About:
  """The title of results and where they come from.

  title: of the run or study.
  simulated: whether any of the clips is; every title then says so.
  config: what was run, a dict or a ConfigDict.
  versions: {package: version}.
  """

  title: str
  simulated: bool
  config: Mapping
  versions: Mapping[str, str]


def headline(tables: Tables, about: About) -> str:
  """Adds to the title what the clips are: "simulated data" or their databases."""
  names = ", ".join(DATABASES[key] for key in tables.databases)
  return f"{about.title} ({'simulated data' if about.simulated else names})"


def subtitle(title: str, simulated: bool) -> str:
  """Adds to a table's or figure's title that the clips are simulated, if they are."""
  return f"{title} (simulated data)" if simulated else title


def markdown_heading(title: str, simulated: bool) -> list[str]:
  """Returns the lines of a section's heading, a `subtitle`."""
  return ["", f"## {subtitle(title, simulated)}", ""]


def markdown_ending(about: About) -> list[str]:
  """Returns the lines of a document's last section: config and versions."""
  return [
    *markdown_heading("Config and versions", about.simulated),
    *("```json", to_json(about.config), "```", ""),
    *(f"* {package} {version}" for package, version in about.versions.items()),
  ]


def csv_document(
  tables: Tables, about: About, lines: Sequence[Sequence[object]]
) -> str:
  """Formats lines under their heading as CSV.

  The headline stands before each line, config and versions as JSON after it.
  """
  title = headline(tables, about)
  ran = [to_json(value, indent=None) for value in (about.config, about.versions)]
  heading, *lines = lines
  return to_csv(
    [
      ["title", *heading, "config", "versions"],
      *([title, *line, *ran] for line in lines),
    ]
  )


def json_document(tables: Tables, about: About, content: Mapping) -> str:
  """Formats results as JSON, with their headline, clips, seeds, config and versions."""
  document = {
    "title": headline(tables, about),
    "simulated": bool(about.simulated),
    "unit": "percent",
    "clips": dict(zip(tables.databases, tables.clips, strict=True)),
    "seeds": tables.seeds,
    **content,
    "config": about.config,
    "versions": about.versions,
  }
  return to_json(document) + "\n"


def to_json(value: object, indent: int | None = 2) -> str:
  """Formats JSON; a ConfigDict is its dict, what JSON does not know is its text."""
  return json.dumps(
    value,
    indent=indent,
    default=lambda other: other.to_dict() if hasattr(other, "to_dict") else str(other),
  )


def to_csv(lines: Iterable[Sequence[object]]) -> str:
  """Formats CSV whose lines end with a line feed alone."""
  file = io.StringIO()
  csv.writer(file, lineterminator="\n").writerows(lines)
  return file.getvalue()
