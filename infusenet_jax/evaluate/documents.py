"""Formats results as JSON, CSV and Markdown, with their title, config and versions."""

import csv
import html
import io
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from infusenet_jax.clips.labels import DATABASES, database_name
from infusenet_jax.evaluate.scores import Tables
from infusenet_jax.runtime.text import csv_text

SIMULATED = "simulated data"


@dataclass(frozen=True)
class About:
  """The title of results and where they come from.

  title: of the run or study.
  simulated: whether any of the clips is simulated; every title then says so.
  config: what was run, a dict or a ConfigDict.
  versions: {package: version}.
  declared: whether a file of predictions did not tell if its clips are simulated, so
    that the user declared it; every title then says that, too.
  """

  title: str
  simulated: bool
  config: Mapping
  versions: Mapping[str, str]
  declared: bool = False

  @property
  def data(self) -> str:
    """The words about the clips in every title; "" for clips known to be licensed."""
    if self.declared:
      return f"{SIMULATED if self.simulated else 'licensed data'}, as declared"
    return SIMULATED if self.simulated else ""


def headline(tables: Tables, about: About) -> str:
  """Adds to the title "simulated data", or the databases of the clips."""
  if about.simulated:
    return subtitle(about.title, about.data)
  names = ", ".join(database_name(key) for key in tables.databases)
  if (count := len(published_databases(tables))) < len(DATABASES):
    names += f": {count} of {len(DATABASES)} databases"
  return f"{about.title} ({'; '.join(filter(None, (names, about.data)))})"


def published_databases(tables: Tables) -> list[str]:
  """Lists which of the six databases of CD6ME the tables hold."""
  return [key for key in tables.databases if key in DATABASES]


def subtitle(title: str, data: str) -> str:
  """Adds to a table's or figure's title what `About.data` says of the clips."""
  return f"{title} ({data})" if data else title


def markdown_heading(title: str, data: str, level: int = 2) -> list[str]:
  """Returns the lines of a Markdown heading: a `subtitle`, escaped."""
  return ["", f"{'#' * level} {markdown_text(subtitle(title, data))}", ""]


def markdown_text(text: str) -> str:
  """Escapes text, so that neither Markdown nor HTML formats it, and joins its lines."""
  text = html.escape(" ".join(text.split()), quote=False)
  return re.sub(r"([\\`*_\[\]|])", r"\\\1", text)


def markdown_ending(about: About) -> list[str]:
  """Returns the lines of a document's last section: config and versions."""
  return [
    *markdown_heading("Config and versions", about.data),
    *("```json", to_json(about.config), "```", ""),
    *(f"* {package} {version}" for package, version in about.versions.items()),
  ]


def csv_document(
  tables: Tables, about: About, lines: Sequence[Sequence[object]]
) -> str:
  """Formats lines as CSV; the first of `lines` is the heading.

  Every line also has the headline as its first column. Config and versions are in the
  JSON document beside.
  """
  title = headline(tables, about)
  heading, *lines = lines
  return to_csv([["title", *heading], *([title, *line] for line in lines)])


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
  """Formats a value as JSON: a ConfigDict as its dict, other types by `str`."""
  return json.dumps(
    value,
    indent=indent,
    default=lambda other: other.to_dict() if hasattr(other, "to_dict") else str(other),
  )


def to_csv(lines: Iterable[Sequence[object]]) -> str:
  """Formats CSV with "\\n" at the ends of lines; no field is taken for a formula."""
  file = io.StringIO()
  csv.writer(file, lineterminator="\n").writerows(
    [csv_text(cell) if isinstance(cell, str) else cell for cell in line]
    for line in lines
  )
  return file.getvalue()
