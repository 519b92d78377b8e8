"""Pages of made-up runs, and how a browser reads them."""

import itertools
from html.parser import HTMLParser

import numpy as np

from infusenet_jax.evaluate.documents import About
from infusenet_jax.evaluate.predictions import Predictions
from infusenet_jax.evaluate.report.clips import Pictures, Sample
from infusenet_jax.evaluate.report.figures import Curve
from infusenet_jax.evaluate.report.page import write_report
from infusenet_jax.evaluate.scores import cd6me_tables

EVIL = "<script>alert(1)</script>\"'{{ 7 * 7 }}$\\frac{$"
VOID = {"meta", "img", "br", "input"}


class Page(HTMLParser):
  """Checks that tags nest; keeps tags, (tag, attribute, value) and texts.

  texts: (tag, text) by section, those before the first under "".
  """

  def __init__(self, text):
    super().__init__()
    self.open, self.tags, self.attributes = [], [], []
    self.texts, self.section = {"": []}, ""
    self.feed(text)
    self.close()
    assert self.open == []

  def handle_starttag(self, tag, attrs):
    self.handle_startendtag(tag, attrs)
    if tag not in VOID:
      self.open.append(tag)

  def handle_startendtag(self, tag, attrs):
    self.tags.append(tag)
    self.attributes += [(tag, name, value) for name, value in attrs]

  def handle_endtag(self, tag):
    assert self.open.pop() == tag

  def handle_data(self, data):
    tag = self.open[-1] if self.open else ""
    if tag == "h2":
      self.section = data.removesuffix(" (simulated data)")
    if data.strip():
      self.texts.setdefault(self.section, []).append((tag, data.strip()))

  def all_of(self, tag, section=None):
    """The texts in a tag, of the whole page or of one section."""
    every = itertools.chain(*self.texts.values())
    texts = every if section is None else self.texts[section]
    return [text for name, text in texts if name == tag]

  def values(self, attribute, *tags):
    """All values of an attribute, of all tags or of some."""
    return [
      value
      for tag, name, value in self.attributes
      if name == attribute and (not tags or tag in tags)
    ]


def make_predictions(seeds, text, perfect=False, nothing=False):
  labels = (np.random.default_rng(0).random((20, 12)) < 0.3).astype(np.uint8)
  database, count = np.repeat(["casme2", "samm"], 10), len(seeds)
  noise = np.random.default_rng(0).normal(size=(20 * count, 12)) * (not perfect)
  labels = np.tile(labels * (not nothing), (count, 1))
  return Predictions(
    database=np.tile(database, count),
    subject=np.array([text] * 20 * count),
    clip=np.tile([f"{text}{i}" for i in range(20)], count),
    fold=np.tile(database, count),
    seed=np.repeat(seeds, 20),
    logits=np.full(noise.shape, -1.0) if nothing else noise + labels - 0.5,
    labels=labels,
  )


def write_page(
  path,
  *,
  simulated=True,
  seeds=(45, 46),
  text=EVIL,
  perfect=False,
  nothing=False,
  bare=False,
  folds=3,
):
  """A page of two databases; a bare one has predictions alone."""
  predictions = make_predictions(seeds, text, perfect, nothing)
  frame = np.full((32, 32, 3), 120, np.uint8)
  flow = np.random.default_rng(0).normal(size=(32, 32, 3)).astype(np.float32)
  maps = {name: np.eye(7, dtype=np.float32) for name in ("gate 1", f"saliency {text}")}
  samples = [
    Sample("casme2", text, f"{text}0", frame, frame, flow, maps),
    Sample("samm", text, "not predicted", frame, frame, np.zeros_like(flow)),
  ]
  names = ["casme2", f"samm/{text}", *(f"samm/{i}" for i in range(folds - 2))]
  names_of = zip(
    predictions.database, predictions.subject, predictions.clip, strict=True
  )
  faces = {tuple(map(str, name)): (frame, frame + 9) for name in names_of}
  curves = [Curve(seed, fold, [1, 2], [0.9, 0.2]) for seed in seeds for fold in names]
  write_report(
    path,
    About(f"InfuseNet {text}", simulated, {"name": text, "epochs": 2}, {text: text}),
    tables=cd6me_tables(predictions, resamples=20),
    predictions=predictions,
    curves=[] if bare else curves,
    pictures=None if bare else Pictures(samples, faces),
  )
  return Page(path.read_text(encoding="utf-8"))
