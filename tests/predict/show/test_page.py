"""The page of a video as a browser reads it: what it shows, holds and may run."""

import base64
import dataclasses
import hashlib
import re
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest

from infusenet_jax.clips.frames.images import frame_uri, heat_colours
from infusenet_jax.clips.labels import AU_NAMES, AUS
from infusenet_jax.predict.findings import REGIONS, SIMULATED_WEIGHTS, Pictures
from infusenet_jax.predict.show import page as module
from infusenet_jax.predict.show.page import render, warnings
from infusenet_jax.predict.show.timeline import face_losses
from tests.predict.reports import (
  make_frames,
  make_interval,
  make_pictures,
  make_report,
  without_face,
)

EVIL = "<script>alert(1)</script>\"'{{ 7 * 7 }}\u202e</title>" + "very long " * 40
VOID = {"meta", "img", "br", "path"}


class Page(HTMLParser):
  """Checks that tags nest; keeps (tag, attributes), and (tag, text) of texts."""

  def __init__(self, text):
    super().__init__()
    self.open, self.elements, self.texts = [], [], []
    self.text = text
    self.feed(text)
    self.close()
    assert self.open == []

  def handle_starttag(self, tag, attrs):
    self.elements.append((tag, dict(attrs)))
    if tag not in VOID:
      self.open.append(tag)

  def handle_startendtag(self, tag, attrs):
    self.elements.append((tag, dict(attrs)))

  def handle_endtag(self, tag):
    if tag not in VOID:
      assert self.open.pop() == tag

  def handle_data(self, data):
    if data.strip():
      self.texts.append((self.open[-1] if self.open else "", data.strip()))

  def all_of(self, tag):
    return [text for name, text in self.texts if name == tag]

  def values(self, attribute, *tags):
    return [
      attrs[attribute]
      for tag, attrs in self.elements
      if attribute in attrs and (not tags or tag in tags)
    ]

  def classed(self, name):
    return [
      attrs for _, attrs in self.elements if name in attrs.get("class", "").split()
    ]


@pytest.fixture(scope="module")
def page():
  """Every part of a page, and hostile names wherever a name can stand."""
  report = make_report(pictures=make_pictures())
  evil = {EVIL: EVIL, "list": [EVIL, 1]}
  blink = make_interval(
    report.frames,
    700,
    "blink",
    probability=np.full(12, np.nan),
    decision=np.zeros(12, bool),
  )
  intervals = [
    report.intervals[0],
    dataclasses.replace(report.intervals[1], notes=(EVIL,), kind="given"),
  ]
  frames = without_face(make_frames(1000), slice(300, 340))
  return Page(
    render(
      dataclasses.replace(
        report,
        source=EVIL,
        frames=frames,
        intervals=intervals,
        blinks=[blink],
        notes=(EVIL,),
        model={**evil, "simulated": True},
        settings=evil,
        versions=evil,
      )
    )
  )


def test_hostile_names_are_text(page):
  assert len([tag for tag, _ in page.elements if tag == "script"]) == 1
  shown = [tag for tag, text in page.texts if EVIL.strip() in text]
  # Of the model, settings and versions: a name, its value, and a list.
  made = 3 * ["dt", "dd", "dd"]
  assert sorted(shown) == sorted(["title", "bdi", "li", "dd", *made])


def test_its_own_script_alone_may_run(page):
  policy = page.values("content")[0]
  (script,) = re.findall(r"<script>(.*?)</script>", page.text, re.DOTALL)
  digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
  assert policy == (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline';"
    f" script-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
  )
  names = {name for _, attrs in page.elements for name in attrs}
  assert not [name for name in names if name.startswith("on")]


def test_nothing_is_loaded(page):
  tags = {tag for tag, _ in page.elements}
  assert not tags & {"link", "iframe", "use", "image", "object", "embed", "base"}
  assert all(value.startswith("data:image/webp") for value in page.values("src"))
  assert all(value.startswith("#interval-") for value in page.values("href"))
  assert not [x for x in ("http://", "https://", "url(", "@import") if x in page.text]


def test_ids_are_unique_and_links_have_targets(page):
  ids = page.values("id")
  assert len(ids) == len(set(ids)) and {"interval-1", "interval-2"} <= set(ids)
  assert {href.removeprefix("#") for href in page.values("href")} <= set(ids)


def test_every_picture_says_what_it_is(page):
  images = [attrs for tag, attrs in page.elements if tag == "img"]
  assert len(images) == 2 * 5
  assert [image["alt"] for image in images[:5]] == [
    "Interval 1: onset, frame 100",
    "Interval 1: apex, frame 108",
    "Interval 1: apex, motion ×\N{NO-BREAK SPACE}10",
    "Interval 1: motion from onset to apex",
    "Interval 1: where the network looked",
  ]
  labels = page.values("aria-label", "svg")
  assert len(labels) == len(REGIONS) and "left brow" in labels


def test_the_map_lies_over_the_onset(page):
  pictures = make_pictures()
  heat = frame_uri(heat_colours(pictures.looked, pictures.onset), webp=True)
  assert page.values("src").count(heat) == 2


def test_intervals_are_told_in_seconds_frames_and_names(page):
  facts = page.all_of("dd")
  assert "1.000 s, frame 100" in facts and "5.080 s, frame 508" in facts
  assert "1.25 px of the video, 2.50 % of the distance between the eyes" in facts
  heads = page.all_of("th")
  for au in AUS:
    assert heads.count(f"AU{au:02d} {AU_NAMES[au]}") == 2
  rows = [attrs for tag, attrs in page.elements if tag == "tr" and "class" in attrs]
  assert len(rows) == 2 * 6 and page.all_of("td").count("shown") == 2 * 6
  assert "given" in page.all_of("span")


def test_the_legend_of_the_flow_is_its_scale(page):
  assert any("the rim is 5.00 px of the crop, 44.6 %" in t for t in page.all_of("span"))


def test_marks_stand_where_things_happen(page):
  expressions, bands = page.classed("expression"), page.classed("band")
  assert [mark["data-from"] for mark in bands] == ["1.0", "5.0"]
  assert "left:10.000%;width:2.000%" in {
    mark["style"] for mark in expressions if "style" in mark
  }
  (blink,) = [mark for mark in page.classed("blink") if "mark" in mark["class"]]
  assert blink["style"] == "left:70.000%;width:2.000%"
  (lost,) = [mark for mark in page.classed("lost") if "mark" in mark["class"]]
  assert lost["style"] == "left:30.000%;width:4.000%"


def test_the_threshold_of_decisions_is_marked():
  styles = Page(render(make_report())).values("style", "b")
  assert styles == 24 * ["left:50%"]


def test_a_report_without_pictures_is_complete():
  page = Page(render(make_report()))
  assert "img" not in [tag for tag, _ in page.elements]
  assert page.all_of("h2") == ["In short", "Time line", "Intervals", "How it was made"]
  assert not page.classed("legend") and len(page.classed("aus")) == 2


def test_a_map_may_be_missing():
  page = Page(render(make_report(pictures=make_pictures(looked=False))))
  assert len([1 for tag, _ in page.elements if tag == "img"]) == 2 * 4


def test_what_is_doubtful_comes_first():
  slow = make_report(frames=make_frames(1000, fps=30.0), model={"simulated": True})
  first, second = warnings(slow)
  assert first == SIMULATED_WEIGHTS and "0.2 s has 6 frames" in second
  text = render(slow)
  assert f"<li>T{SIMULATED_WEIGHTS[1:]}</li>" in text
  assert text.index("Read this first") < text.index("In short")
  noted = dataclasses.replace(slow, notes=("30 frames a second", "Simulated faces!"))
  assert warnings(noted) == list(noted.notes)
  assert warnings(make_report()) == []
  assert "Read this first" not in render(make_report())


def test_nothing_found_is_said():
  page = Page(render(make_report(onsets=())))
  assert "No brief expressions and no blinks were found." in page.all_of("p")
  assert "None." in page.all_of("p")


def test_no_face_at_all():
  frames = without_face(make_frames(50), slice(None))
  page = Page(render(make_report(frames=frames, intervals=[])))
  assert "A face was found in no frame." in page.all_of("p")
  assert page.values("d") == [""] * len(REGIONS)
  assert face_losses(frames) == [(0.0, pytest.approx(0.5))]


def test_a_single_frame():
  page = Page(render(make_report(count=1, onsets=())))
  assert "A single frame, in which no motion can be seen." in page.all_of("p")
  assert "nan" not in re.sub(r'data-\w+="[^"]*"', "", page.text).lower().split()


def test_unknown_numbers_are_no_numbers():
  report = make_report(onsets=(100,))
  unknown = dataclasses.replace(
    report.intervals[0],
    probability=np.full(12, np.nan),
    decision=np.zeros(12, bool),
    motion_px=np.nan,
    motion_percent=np.nan,
  )
  page = Page(render(dataclasses.replace(report, intervals=[unknown])))
  assert page.all_of("td").count("not judged") == 12
  assert "not measured" in page.all_of("dd")
  assert not [text for _, text in page.texts[:-1] if re.search(r"\bnan\b", text)]


def test_no_frames_are_refused():
  with pytest.raises(ValueError, match=r"ben\.mp4: no frames"):
    render(make_report(count=0, onsets=()))


def test_ten_minutes_stay_small():
  report = make_report(count=18_000, onsets=())
  report = dataclasses.replace(
    report, intervals=[make_interval(report.frames, k * 900) for k in range(20)]
  )
  assert len(render(report)) < 1_500_000


def test_many_intervals_are_folded_and_small():
  frames = make_frames(2000)
  # As large and as busy as a crop of a face is at most.
  rng = np.random.default_rng(0)
  face = cv2.resize(rng.integers(0, 255, (28, 28, 3), np.uint8), (224, 224))
  flow = np.zeros((224, 224, 2), np.float32)
  pictures = Pictures(face, face, face, 10.0, flow, np.ones((224, 224), np.float32))
  found = [make_interval(frames, 25 * k, pictures=pictures) for k in range(30)]
  page = Page(render(make_report(frames=frames, intervals=found)))
  folds = page.classed("interval")
  assert len(folds) == 30 and not [fold for fold in folds if "open" in fold]
  assert len(page.text) < 30 * 60_000
  assert any(mark["class"].endswith("crowded") for mark in page.classed("expression"))


def test_what_was_set_is_in_words():
  settings = {
    "intervals_by": None,
    "pictures": True,
    "size": np.int64(224),
    "aus": [1, 2],
    "measured": {"f1": {"au_average": 96.0, "sd": 0.0211691}, "clips": 10},
  }
  page = Page(render(make_report(settings=settings)))
  shown = page.all_of("dt"), page.all_of("dd")
  assert list(zip(*shown, strict=True))[-6:-1] == [
    ("intervals by", "none"), ("pictures", "yes"), ("size", "224"), ("aus", "1, 2"),
    ("measured", "f1 (au average 96, sd 0.02117), clips 10"),
  ]  # fmt: skip


def test_colours_have_a_value_in_light_and_dark(page):
  css = re.search(r"<style>(.*?)</style>", page.text, re.DOTALL)[1]
  blocks = re.findall(r":root \{(.*?)\}", css, re.DOTALL)
  light, dark = (
    {name for block in half for name in re.findall(r"(--\w+):", block)}
    for half in (blocks[::2], blocks[1::2])
  )
  used = set(re.findall(r"var\((--\w+)\)", css)) - {"--f1", "--at"}
  assert used <= light and {"--mark", "--closed", "--bubble"} <= dark


def test_templates_are_packed_with_the_package():
  """What setup.cfg names is what is there: a template left out breaks only wheels."""
  folder = Path(module.__file__).parent
  setup = (folder.parents[2] / "setup.cfg").read_text(encoding="utf-8")
  named = re.search(r"^infusenet_jax.predict.show = (.*)$", setup, re.M)
  packed = {path for pattern in named[1].split(", ") for path in folder.glob(pattern)}
  assert {path for path in folder.rglob("templates/*") if path.is_file()} <= packed
