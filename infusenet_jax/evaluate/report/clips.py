"""The parts of report.html that show single clips: samples and worst mistakes."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape

import numpy as np

from infusenet_jax.clips.images import flow_colours, frame_uri, heat_colours
from infusenet_jax.clips.labels import AUS, database_name
from infusenet_jax.evaluate.predictions import Predictions
from infusenet_jax.evaluate.tables import subtitle

MOST_MISTAKES = 20


@dataclass(frozen=True)
class Sample:
  """A clip to be shown.

  database, subject, clip: as in the predictions; onset, apex: (H, W, 3) uint8 RGB;
  flow: (H, W, 2 or more) pixels, from onset to apex; maps: {name: (h, w), not
  negative}, where the network looked.
  """

  database: str
  subject: str
  clip: str
  onset: np.ndarray
  apex: np.ndarray
  flow: np.ndarray
  maps: dict[str, np.ndarray] = field(default_factory=dict)


def samples_section(
  samples: Sequence[Sample], run: Predictions, logits: np.ndarray, simulated: bool
) -> str:
  """The samples as HTML, each with what was found and missed; "" without any.

  Args:
    samples: the clips to be shown.
    run: the predictions that hold them, N clips.
    logits: (N, 12), the mean over all runs.
    simulated: whether any clip is, which every card's title says.
  """
  if not samples:
    return ""
  names = list(zip(run.database, run.subject, run.clip, strict=True))
  cards = []
  for sample in samples:
    key = (sample.database, sample.subject, sample.clip)
    verdict = ""
    if key in names:
      row = names.index(key)
      verdict = f"<p>{_verdict(run.labels[row], logits[row])}</p>"
    name = subtitle(database_name(sample.database), simulated)
    cards.append(
      f"<article><h3>{escape(name)} <span>{escape(sample.subject)} / "
      f'{escape(sample.clip)}</span></h3><div class="images">{_images(sample)}</div>'
      f"{verdict}</article>"
    )
  words = "In the flow, hue is direction and depth is length; white stands still."
  if any(sample.maps for sample in samples):
    words += (
      " Over the apex: gates (mean over channels) after each infused stage, where the"
      " model has them, and the saliency, |d logit / d input|, of the AUs shown; bright"
      " is the map's largest value."
      " The network is that of the fold that left the clip out."
    )
  return f'<p>{words}</p><div class="samples">{"".join(cards)}</div>'


def _images(sample: Sample) -> str:
  longest = np.hypot(sample.flow[..., 0], sample.flow[..., 1]).max()
  images = [
    ("onset", sample.onset),
    ("apex", sample.apex),
    (f"flow, up to {longest:.1f} px", flow_colours(sample.flow)),
  ]
  for name, values in sorted(sample.maps.items()):
    name = f"{name}, up to {values.max():.2g}"
    images.append((name, heat_colours(values, sample.apex)))
  return "".join(
    f'<figure><img alt="{escape(name)}" src="{frame_uri(image)}">'
    f"<figcaption>{escape(name)}</figcaption></figure>"
    for name, image in images
  )


def _verdict(labels: np.ndarray, logits: np.ndarray) -> str:
  """A chip for every AU that the clip shows or that the model says it does."""
  chips = [
    _chip(au, shown, logit)
    for au, shown, logit in zip(AUS, labels, logits, strict=True)
    if shown or logit > 0
  ]
  return "".join(chips) or "no AU, and none predicted"


def _chip(au: int, shown: bool, logit: float) -> str:
  if not shown:
    return f'<span class="chip false">AU{au} false alarm</span>'
  verdict = "found" if logit > 0 else "missed"
  return f'<span class="chip {verdict}">AU{au} {verdict}</span>'


def mistakes_section(run: Predictions, logits: np.ndarray) -> str:
  """The wrong decisions of the largest |logit| as HTML; arguments as above."""
  wrong = (logits > 0) != (run.labels > 0)
  if not wrong.any():
    return "<p>None.</p>"
  clips, aus = np.nonzero(wrong)
  order = np.argsort(-np.abs(logits[clips, aus]), kind="stable")[:MOST_MISTAKES]
  columns = ["database", "subject", "clip", "mistake", "probability in %", "AUs shown"]
  lines = []
  for clip, au in zip(clips[order], aus[order], strict=True):
    labels, logit = run.labels[clip], logits[clip, au]
    shown = ", ".join(f"AU{a}" for a, y in zip(AUS, labels, strict=True) if y)
    values = [
      escape(database_name(run.database[clip])),
      escape(run.subject[clip]),
      escape(run.clip[clip]),
      _chip(AUS[au], labels[au], logit),
      f"{50 * (1 + np.tanh(logit / 2)):.1f}",
      shown or "none",
    ]
    lines.append("".join(f"<td>{value}</td>" for value in values))
  return (
    f"<p>Of {wrong.sum()} wrong decisions the {len(order)} that the model was surest "
    'of, by the mean logit of all runs.</p><div class="scroll"><table class="text">'
    f"<thead><tr>{''.join(f'<th>{column}</th>' for column in columns)}</tr></thead>"
    f"<tbody>{''.join(f'<tr>{line}</tr>' for line in lines)}</tbody></table></div>"
  )
