import base64
import shutil
import subprocess
from html.parser import HTMLParser

import cv2
import numpy as np
import pytest

from infusenet_jax.clips.images import flow_colours, frame_uri, heat_colours
from infusenet_jax.evaluate.predictions import Predictions
from infusenet_jax.evaluate.report.clips import Sample
from infusenet_jax.evaluate.report.figures import Curve
from infusenet_jax.evaluate.report.page import read_curve, write_report
from infusenet_jax.evaluate.scores import cd6me_tables
from infusenet_jax.runtime.errors import UserError

EVIL = "<script>alert(1)</script>"
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
TITLES = ("h1", "h2", "h3", "caption")
VOID = {"meta", "img", "br"}


class Page(HTMLParser):
  """Checks that tags nest and keeps the tags, the attributes and the texts."""

  def __init__(self, text):
    super().__init__()
    self.open, self.tags, self.attributes, self.texts = [], [], [], []
    self.feed(text)
    self.close()
    assert self.open == []

  def handle_starttag(self, tag, attrs):
    self.tags.append(tag)
    self.attributes += attrs
    if tag not in VOID:
      self.open.append(tag)

  def handle_startendtag(self, tag, attrs):
    self.tags.append(tag)
    self.attributes += attrs

  def handle_endtag(self, tag):
    assert self.open.pop() == tag

  def handle_data(self, data):
    self.texts.append((self.open[-1] if self.open else "", data))

  def all_of(self, tag):
    return [text for name, text in self.texts if name == tag]


def write_page(path, *, simulated=True, seeds=(45, 46), text=EVIL, perfect=False):
  labels = (np.random.default_rng(0).random((20, 12)) < 0.3).astype(np.uint8)
  database = np.repeat(["casme2", "samm"], 10)
  clip = np.array([f"{text}{i}" for i in range(20)])
  count = len(seeds)
  noise = np.random.default_rng(0).normal(size=(20 * count, 12)) * (not perfect)
  labels = np.tile(labels, (count, 1))
  predictions = Predictions(
    database=np.tile(database, count),
    subject=np.array([text] * 20 * count),
    clip=np.tile(clip, count),
    fold=np.tile(database, count),
    seed=np.repeat(seeds, 20),
    logits=noise + labels - 0.5,
    labels=labels,
  )
  frame = np.full((32, 32, 3), 120, np.uint8)
  flow = np.random.default_rng(0).normal(size=(32, 32, 3)).astype(np.float32)
  maps = {name: np.eye(7, dtype=np.float32) for name in ("gate 1", f"saliency {text}")}
  write_report(
    path,
    title=f"InfuseNet {text}",
    simulated=simulated,
    tables=cd6me_tables(predictions, resamples=20),
    predictions=predictions,
    curves=[
      Curve(seed, fold, [1, 2], [0.9, 0.2])
      for seed in seeds
      for fold in ("casme2", f"samm/{text}", "unheard-of")
    ],
    samples=[
      Sample("casme2", text, clip[0], frame, frame, flow, maps),
      Sample("samm", text, "not predicted", frame, frame, np.zeros_like(flow)),
    ],
    config={"name": text, "epochs": 2},
    versions={text: text},
  )
  return Page(path.read_text(encoding="utf-8"))


def test_the_page_escapes_all_data_and_loads_nothing(tmp_path):
  page = write_page(tmp_path / "report.html")
  assert "script" not in page.tags
  assert sum(EVIL in data for _, data in page.texts) > 30
  for name, value in page.attributes:
    if name in ("src", "href"):
      assert value.startswith("data:image/")
    assert not name.startswith("on")
  assert "http://" not in (text := (tmp_path / "report.html").read_text())
  assert "https://" not in text and "url(" not in text and "@import" not in text


def test_the_page_holds_every_part(tmp_path):
  page = write_page(tmp_path / "report.html")
  names = [title.removesuffix(" (simulated data)") for title in page.all_of("h2")]
  assert names == [
    "Scores",
    "AU table",
    "Database table",
    "Fold by fold",
    "Learning curves",
    "Sample clips",
    "Worst mistakes",
    "Config and versions",
  ]
  assert page.tags.count("img") == 3 + 2 + 3
  assert page.tags.count("svg") == 2 + 3
  assert page.tags.count("polyline") == 6
  assert any('"epochs": 2' in text for text in page.all_of("pre"))


def test_simulated_data_are_in_every_title(tmp_path):
  page = write_page(tmp_path / "report.html")
  titles = [page.all_of("title")[0]]  # Those after it are tooltips of figures.
  titles += [text for tag in TITLES for text in page.all_of(tag)]
  titles += [text for text in page.all_of("figcaption") if "F1" in text]
  titles += [value for name, value in page.attributes if name == "aria-label"]
  assert len(titles) == 1 + 1 + 8 + 2 + 2 + 2 + 5
  assert all(title.strip().endswith("(simulated data)") for title in titles)
  assert "CASME II (simulated data)" in page.all_of("text")
  assert "simulated data" in page.all_of("p")[0]


def test_licensed_data_are_named(tmp_path):
  page = write_page(tmp_path / "report.html", simulated=False)
  assert page.all_of("title")[0] == f"InfuseNet {EVIL} (CASME II, SAMM)"
  assert not any("simulated" in text for _, text in page.texts)


def test_fewer_databases_are_not_called_cd6me(tmp_path):
  page = write_page(tmp_path / "report.html")
  words = "2 of the 6 databases: not comparable with CD6ME results"
  assert words in page.all_of("p")


def test_a_run_without_mistakes_has_none(tmp_path):
  page = write_page(tmp_path / "report.html", perfect=True)
  assert "None." in page.all_of("p")


def test_reads_a_curve(tmp_path):
  path = tmp_path / "losses.csv"
  path.write_text("epoch,loss\n1,0.75\n2,0.5\n")
  assert read_curve(path, 45, "samm") == Curve(45, "samm", (1, 2), (0.75, 0.5))


@pytest.mark.parametrize("text", ["", "epoch,loss\n", "epoch,loss\n1,x\n", "step\n1\n"])
def test_a_bad_curve_is_named(tmp_path, text):
  (tmp_path / "losses.csv").write_text(text)
  with pytest.raises(UserError, match=r"losses\.csv: expected the columns"):
    read_curve(tmp_path / "losses.csv", 45, "samm")
  with pytest.raises(UserError, match=r"absent\.csv: cannot be read"):
    read_curve(tmp_path / "absent.csv", 45, "samm")


def test_flow_has_a_colour_per_direction_and_none_at_rest():
  flow = np.zeros((2, 2, 2))
  assert (flow_colours(flow) == 255).all()
  flow[0] = [[3, 0], [-3, 0]]
  still = flow_colours(flow)[1]
  (red, cyan) = flow_colours(flow)[0].astype(int)
  assert (still == 255).all()
  assert red[0] > red[2] and cyan[2] > cyan[0]


def test_heat_is_brightest_where_the_map_is_largest():
  values = np.zeros((4, 4), np.float32)
  values[0, 0] = 0.2
  heat = heat_colours(values, np.full((16, 16, 3), 60, np.uint8)).astype(int).sum(-1)
  assert heat.shape == (16, 16)
  assert heat[0, 0] == heat.max() > 2 * heat[8, 8] and heat[8, 8] == heat.min()
  blank = heat_colours(0 * values, np.zeros((16, 16, 3), np.uint8))
  assert blank.max() < 20


def test_frames_keep_their_colours():
  frame = np.zeros((16, 16, 3), np.uint8)
  frame[..., 0] = 200
  data = np.frombuffer(base64.b64decode(frame_uri(frame).split(",")[1]), np.uint8)
  decoded = cv2.imdecode(data, cv2.IMREAD_COLOR_RGB)
  assert abs(int(decoded[8, 8, 0]) - 200) < 8 and decoded[8, 8, 2] < 8


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")
def test_chromium_opens_the_page_without_an_error(tmp_path):
  write_page(tmp_path / "report.html")
  flags = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--enable-logging=stderr",
    "--window-size=1280,2400",
  ]
  done = subprocess.run(
    [
      CHROMIUM,
      *flags,
      f"--user-data-dir={tmp_path / 'profile'}",
      f"--screenshot={tmp_path / 'page.png'}",
      (tmp_path / "report.html").as_uri(),
    ],
    capture_output=True,
    text=True,
    timeout=120,
    check=True,
  )
  # Script errors and blocked content are printed as "CONSOLE".
  assert "CONSOLE" not in done.stderr, done.stderr
  picture = cv2.imread(str(tmp_path / "page.png"))
  assert picture.shape == (2400, 1280, 3)
  assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 50
