"""Writes simulated clips' workbooks, in the columns and spelling of each database."""

import datetime
import io
import re
import zipfile

import numpy as np
import openpyxl

from data_prep.databases.layouts import Layout, find_columns
from data_prep.simulator.plan.population import PlannedClip

_EPOCH = datetime.datetime(2025, 1, 1)


def workbook_bytes(clips: list[PlannedClip], layout: Layout) -> bytes:
  """Makes the .xlsx file of one database's clips; equal clips give equal bytes."""
  book = openpyxl.Workbook()
  book.properties.created = _EPOCH
  sheet = book.active
  sheet.title = "Sheet1"
  if layout.header_row > 1:
    sheet.cell(1, 1, f"{layout.folders[0]}: simulated data, no real person")
  for column, title in enumerate(layout.header, 1):
    sheet.cell(layout.header_row, column, title)
  columns = find_columns(layout.header)
  for row, clip in enumerate(clips, layout.header_row + 1):
    fields = {
      "subject": _subject_cell(clip),
      "filename": clip.filename,
      "onset": clip.onset,
      "apex": clip.apex,
      "offset": clip.offset,
      "aus": _cell(au_text(clip)),
      "emotion": clip.emotion,
    }
    for field, value in fields.items():
      sheet.cell(row, columns[field] + 1, value)
    for title, value in _extras(clip, layout).items():
      sheet.cell(row, layout.header.index(title) + 1, value)
  stream = io.BytesIO()
  book.save(stream)
  return _without_dates(stream.getvalue())


def au_text(clip: PlannedClip) -> str:
  """Writes the AUs of a clip as the coders of its database do.

  A letter before a number is the side, one after it the intensity; 4DME marks AUs
  that its coders were unsure of with (k); CASME II writes ? for none.
  """
  rng = np.random.default_rng((*clip.seed, 7))
  parts = []
  letters = dict.fromkeys(clip.labels, "") | {s.au: s.letter for s in clip.shown}
  for au in sorted(set(letters) - (set(clip.true) - set(clip.labels))):
    text = f"{letters[au]}{au}"
    if clip.database == "fourd":
      text = f"AU{au}" + ("(k)" if au in clip.unsure else "")
    elif clip.database in ("samm", "casme3a") and rng.random() < 0.15:
      text += "ABC"[int(rng.integers(3))]
    parts.append(text)
  if not parts:
    return "?" if clip.database == "casme2" else ""
  return (" + " if clip.database == "samm" else "+").join(parts)


def _cell(text: str) -> str | int | None:
  """Makes a cell as Excel does: text that is a number becomes one, "" is empty."""
  return int(text) if text.isdecimal() else text or None


def _subject_cell(clip: PlannedClip) -> str | int:
  return clip.number if clip.database == "casme" else clip.subject


def _extras(clip: PlannedClip, layout: Layout) -> dict[str, str | int]:
  """Makes the cells of columns that only one database has."""
  if clip.database == "samm":
    length = clip.offset - clip.onset + 1
    micro = "Micro - 1/2" if length <= 100 else "Macro"
    return {"Inducement Code": 1, "Duration": length, "Micro": micro}
  positive = set(clip.labels) | set(clip.unsure)
  return {title: int(int(title[2:]) in positive) for title in layout.au_columns}


def _without_dates(data: bytes) -> bytes:
  """Sets all time stamps in an .xlsx file to a fixed one."""
  stream = io.BytesIO()
  with (
    zipfile.ZipFile(io.BytesIO(data)) as old,
    zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as new,
  ):
    for name in old.namelist():
      content = old.read(name)
      if name == "docProps/core.xml":
        stamp = rb"\g<1>" + _EPOCH.isoformat().encode() + b"Z<"
        content = re.sub(rb"(<dcterms:modified[^>]*>)[^<]*<", stamp, content)
      new.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
  return stream.getvalue()
