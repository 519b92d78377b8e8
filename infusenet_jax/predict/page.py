"""report.html. Stands in for what the lead merges here."""

import html

from infusenet_jax.predict.findings import Report


def render(report: Report) -> str:
  """Says whose page it would be."""
  lines = [report.source, *report.notes]
  return "".join(f"<p>{html.escape(line)}</p>\n" for line in lines)
