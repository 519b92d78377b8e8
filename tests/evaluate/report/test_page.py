"""The page as a browser reads it: its tags, texts, colours and what it may load."""

import re
import shutil
import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest

from infusenet_jax.clips.labels import AUS
from infusenet_jax.evaluate.report import page as report
from infusenet_jax.evaluate.report.figures import Curve
from infusenet_jax.evaluate.report.mistakes import mistakes
from infusenet_jax.evaluate.report.page import holds_pictures, read_curve
from infusenet_jax.evaluate.scores import cd6me_tables, held_out
from infusenet_jax.evaluate.tables import fold_rows, rows, subject_intervals
from infusenet_jax.runtime.errors import UserError
from tests.evaluate.report.pages import EVIL, make_predictions, write_page

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
SECTIONS = [
  "Scores",
  "AU table",
  "Database table",
  "Fold by fold",
  "Learning curves",
  "Calibration",
  "Found and missed",
  "ROC and precision-recall",
  "Sample clips",
  "Worst mistakes",
  "Config and versions",
]


@pytest.fixture(scope="module")
def path(tmp_path_factory):
  return tmp_path_factory.mktemp("page") / "report.html"


@pytest.fixture(scope="module")
def page(path):
  return write_page(path)


def test_hostile_names_are_text_in_every_section_that_shows_them(page):
  shown = {
    name: sum(EVIL in text for _, text in texts) for name, texts in page.texts.items()
  }
  assert shown == dict.fromkeys(page.texts, 0) | {
    "": 2,  # <title> and <h1>.
    "Learning curves": 1,  # A panel.
    "Sample clips": 2 + 1,  # Two clips and a map.
    "Worst mistakes": page.tags.count("article") - 12 - 2,  # Not panels or samples.
    "Config and versions": 2,  # A version's name and value.
  }
  config = "".join(page.all_of("pre"))
  assert "<script>alert(1)</script>" in config and '"epochs": 2' in config
  assert any(EVIL in value for value in page.values("alt"))
  assert any(EVIL in value for value in page.values("aria-label"))


def test_the_page_runs_nothing_and_loads_nothing(page, path):
  policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
  assert page.values("http-equiv") == ["Content-Security-Policy"]
  assert page.values("content")[0] == policy
  assert not {"script", "link", "iframe", "use", "image", "object"} & set(page.tags)
  assert all(value.startswith("data:image/") for value in page.values("src"))
  assert all(value.startswith("#") for value in page.values("href"))
  names = {name for _, name, _ in page.attributes}
  assert not [name for name in names if name.startswith("on") or name.endswith(":href")]
  assert page.values("type", "input").count("radio") == 13 + 3
  text = path.read_text()
  assert not [x for x in ("http://", "https://", "url(", "@import") if x in text]


def test_the_page_holds_every_part(page):
  assert list(page.texts) == ["", *SECTIONS]
  assert page.tags.count("section") == len(SECTIONS)
  listed = page.tags.count("article") - 12 - 2
  assert page.tags.count("img") == 2 * (2 + listed) + 2 + 1 + 1
  assert page.tags.count("svg") == 2 + 3 + 2 + 2 * 12
  assert "seed 46" in page.all_of("span", "Learning curves")
  verdicts = page.all_of("span", "Worst mistakes")[::2]
  assert len(verdicts) == listed > 20
  assert all(re.fullmatch(r"AU\d+ (missed|false alarm)", v) for v in verdicts)
  assert any(v.endswith("found") for v in page.all_of("span", "Sample clips"))


def test_tables_show_the_scores(page, tmp_path):
  tables = cd6me_tables(make_predictions((45, 46), EVIL), resamples=20)
  for name, table in (("AU table", "au"), ("Database table", "database")):
    cells = [cell for _, kinds in rows(tables, table) for cell in kinds.values()]
    assert page.all_of("b", name) == [f"{cell.mean:.1f}" for cell in cells]
    found = page.all_of("td", name)
    assert found[::4] == [f"{cell.std:.1f}" for cell in cells]
    assert found[1::4] == [f"{cell.low:.1f} to {cell.high:.1f}" for cell in cells]
    ends = [x for kinds in subject_intervals(tables, table) for x in kinds.values()]
    assert found[2::4] == [f"{low:.1f} to {high:.1f}" for low, high in ends]
    assert found[3::4] == [f"{cell.always:.1f}" for cell in cells]
  folds = [
    f"{value:.1f}"
    for kind in ("binary", "macro")
    for _, values in fold_rows(tables, kind)
    for value in values
  ]
  assert page.all_of("td", "Fold by fold") == folds
  assert page.values("style", "td") == [f"--f1:{value}" for value in folds]
  run = make_predictions((45,), EVIL)
  counts = [*run.labels[:10].sum(0), *run.labels[10:].sum(0)]
  assert page.all_of("small", "Fold by fold") == [str(count) for count in counts] * 2
  average = rows(tables, "database")[-1][1]["binary"]
  low, high = subject_intervals(tables, "database")[-1]["binary"]
  first = page.all_of("p", "Scores")[:5]
  assert first[:2] == ["binary F1, database average", f"{average.mean:.1f}"]
  assert first[2:] == [
    f"95 % over clips {average.low:.1f} to {average.high:.1f}",
    f"over subjects {low:.1f} to {high:.1f}",
    f"always positive {average.always:.1f}",
  ]
  assert "± runs" in page.all_of("th", "AU table")
  one = write_page(tmp_path / "one.html", seeds=(45,), bare=True)
  assert "± runs" not in one.all_of("th", "AU table")


def test_the_contents_lead_to_every_section(page):
  assert page.all_of("a", "") == SECTIONS
  ids = page.values("id", "section")
  assert page.values("href", "a") == [f"#{name}" for name in ids]
  assert len(set(page.values("id"))) == len(page.values("id"))


def test_counts_and_rates_are_shown_for_every_choice(page):
  tables = cd6me_tables(make_predictions((45, 46), EVIL), resamples=2)
  found = page.all_of("td", "Found and missed")
  of = tables.detection

  def row(i, j):
    rates = [100 * rate[i, j] for rate in (of.precision, of.recall, of.auc)]
    shown = ["–" if np.isnan(rate) else f"{rate:.1f}" for rate in rates]
    return [*map(str, of.counts[i, j]), *shown]

  by_au = [x for i in (2, 0, 1) for j in range(13) for x in row(i, j)]
  by_database = [x for j in (12, *range(12)) for i in range(3) for x in row(i, j)]
  assert found == [*by_au, *by_database]


def test_what_is_not_defined_is_a_dash_and_never_a_number(tmp_path):
  page = write_page(tmp_path / "report.html", bare=True, nothing=True)
  found = page.all_of("td", "Found and missed")
  assert found[:7] == ["0", "0", "0", "20", "–", "–", "–"]
  text = (tmp_path / "report.html").read_text()
  assert not re.search(r"\bnan\b", text, re.IGNORECASE)
  panels = page.all_of("p", "ROC and precision-recall")
  assert "AUC –, AP –" in panels


def test_every_choice_has_its_rules_and_its_views(page, path):
  text = path.read_text()
  chosen = [("au", str(au)) for au in ("all", *AUS)]
  chosen += [("database", key) for key in ("all", "casme2", "samm")]
  assert page.values("id", "input") == [f"{name}-{value}" for name, value in chosen]
  for name, value in chosen:
    assert f".chosen:has(#{name}-{value}:checked)" in text
    assert value in page.values(f"data-{name}", "tbody", "g", "p")
  assert page.values("data-au", "article") == [
    *map(str, AUS),
    *(str(m.verdict.au) for m in expected_mistakes()),
  ]


def expected_mistakes():
  _, listed = mistakes(held_out(make_predictions((45, 46), EVIL)))
  return listed


def test_mistakes_are_those_of_all_runs_together(page):
  texts = page.all_of("b", "Worst mistakes")
  sure = [text for text in texts if text.endswith(" %")]
  assert sure == [f"{mistake.sure:.1f} %" for mistake in expected_mistakes()]
  said = [p for p in page.all_of("p", "Worst mistakes") if p.startswith("sure that")]
  missed = [mistake.verdict.words == "missed" for mistake in expected_mistakes()]
  assert said == [f"sure that it is {'not ' * x}shown" for x in missed]


def test_simulated_data_are_in_every_title(page):
  titles = page.all_of("title", "") + page.all_of("caption") + page.all_of("h3")
  titles += [text for tag in ("h1", "h2") for text in page.all_of(tag)]
  titles += [text for text in page.all_of("figcaption") if "F1" in text]
  titles += page.values("aria-label", "svg")
  assert len(titles) == 1 + 2 + (12 + 2) + 1 + len(SECTIONS) + 2 + (5 + 2 + 24)
  assert all(title.endswith("(simulated data)") for title in titles)
  assert "CASME II (simulated data)" in page.all_of("text")
  assert page.all_of("p")[0] == "simulated data"


def test_licensed_data_are_named(tmp_path):
  page = write_page(tmp_path / "report.html", simulated=False)
  assert (
    page.all_of("title")[0] == f"InfuseNet {EVIL} (CASME II, SAMM: 2 of 6 databases)"
  )
  assert not any(
    "simulated" in text for texts in page.texts.values() for _, text in texts
  )
  assert not any("simulated" in value for value in page.values("aria-label"))
  assert page.all_of("p", "")[0] == "licensed records"


def test_a_report_of_licensed_records_says_at_its_top_what_may_be_passed_on(tmp_path):
  with_faces = write_page(tmp_path / "faces.html", simulated=False)
  words = " ".join(with_faces.all_of("p", ""))
  assert "people from licensed databases, whose licences forbid" in words
  assert "--no-pictures" in " ".join(with_faces.all_of("code", ""))
  without = write_page(tmp_path / "bare.html", simulated=False, bare=True)
  assert "It holds no picture of them." in " ".join(without.all_of("p", ""))
  assert "img" not in without.tags
  assert "licences" not in " ".join(write_page(tmp_path / "s.html").all_of("p", ""))
  names = ("faces.html", "bare.html", "absent.html")
  shown = [holds_pictures(tmp_path / name) for name in names]
  assert shown == [True, False, False]


def test_colours_are_the_pages_in_light_and_dark(page, path):
  """Figures name no colour of their own, and every name has a value in both schemes."""
  text = path.read_text()
  light, dark, *_ = re.findall(r":root \{(.*?)\}", text, re.DOTALL)
  light, dark = (set(re.findall(r"(--\w+):", block)) for block in (light, dark))
  figures = " ".join(re.findall(r"<svg.*?</svg>", text, re.DOTALL))
  used = set(re.findall(r"var\((--\w+)\)", text)) - {"--f1"}  # Each cell has its own.
  assert {"--ink", "--muted", "--line", "--bar", "--run1"} <= used <= light
  own = {"--heat"} | {f"--run{i}" for i in range(8)}  # Readable on both.
  assert light - dark == own and not dark - light
  colours = re.findall(r"(?:fill|stroke)[:=]\"? ?([^;\"]+)", figures)
  assert colours and all(c == "none" or c.startswith("var(--") for c in colours)
  assert "rect" not in page.tags  # No background.


def test_figures_are_text_without_ids_and_the_same_again(page, path, tmp_path):
  assert {"AU1", "Average", "100", "epoch 2"} <= set(page.all_of("text"))
  assert not page.values("id", "svg", "g", "path", "text")
  write_page(tmp_path / "again.html")
  assert (tmp_path / "again.html").read_bytes() == path.read_bytes()


def test_fewer_databases_are_not_called_cd6me(page):
  words = "2 of the 6 databases: not comparable with CD6ME results"
  assert words in page.all_of("p", "")


def test_predictions_alone_make_a_page(tmp_path):
  page = write_page(tmp_path / "report.html", perfect=True, bare=True)
  absent = ("Learning curves", "Sample clips")
  assert list(page.texts) == ["", *(name for name in SECTIONS if name not in absent)]
  assert page.all_of("p", "Worst mistakes") == ["None."]
  assert page.all_of("a", "") == list(page.texts)[1:]


def test_many_folds_share_a_panel_per_database(tmp_path):
  page = write_page(tmp_path / "report.html", folds=14)
  labels = page.values("aria-label", "svg")[2:4]
  assert labels == [f"loss of fold {x} (simulated data)" for x in ("CASME II", "SAMM")]
  assert not page.all_of("span", "Learning curves")


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


def test_templates_are_packed_with_the_package():
  """What setup.cfg names is what is there: a template left out breaks only wheels."""
  root = Path(report.__file__).parents[3]
  named = re.search(
    r"^infusenet_jax.evaluate.report = (.*)$", (root / "setup.cfg").read_text(), re.M
  )
  folder = Path(report.__file__).parent
  packed = {path for pattern in named[1].split(", ") for path in folder.glob(pattern)}
  assert packed == {path for path in folder.rglob("templates/*") if path.is_file()}


def chromium(address: str, profile: Path, *flags: str) -> subprocess.CompletedProcess:
  """Opens an address in a Chromium without a window."""
  own = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    f"--user-data-dir={profile}",
  ]
  return subprocess.run(
    [CHROMIUM, *own, *flags, address],
    capture_output=True,
    text=True,
    timeout=120,
    check=True,
  )


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")
@pytest.mark.parametrize(("scheme", "light"), [(1, True), (0, False)])
def test_chromium_opens_the_page_without_an_error(page, path, tmp_path, scheme, light):
  done = chromium(
    path.as_uri(),
    tmp_path / "profile",
    "--enable-logging=stderr",
    "--window-size=1280,2400",
    f"--blink-settings=preferredColorScheme={scheme}",
    f"--screenshot={tmp_path / 'page.png'}",
  )
  # Script errors and blocked content are printed as "CONSOLE".
  assert "CONSOLE" not in done.stderr, done.stderr
  picture = cv2.imread(str(tmp_path / "page.png"))
  assert picture.shape == (2400, 1280, 3)
  assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 50
  assert (picture.mean() > 200) if light else (picture.mean() < 80)


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")
def test_the_page_is_no_wider_than_a_telephone(page, path, tmp_path):
  """Wide tables and rows of choices scroll in themselves, not the page with them."""
  frame = tmp_path / "frame.html"
  frame.write_text(
    f'<iframe src="{path.as_uri()}" style="width: 390px; height: 800px"'
    ' onload="const page = this.contentDocument.documentElement;'
    ' document.title = page.scrollWidth - page.clientWidth"></iframe>'
  )
  flags = ("--allow-file-access-from-files", "--virtual-time-budget=5000", "--dump-dom")
  done = chromium(frame.as_uri(), tmp_path / "profile", *flags)
  assert re.search(r"<title>(\d+)</title>", done.stdout)[1] == "0"
