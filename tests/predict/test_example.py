"""The example page in a browser: it runs, and a picture of it can be taken."""

import subprocess
import sys

import cv2
import numpy as np
import pytest

from tests.predict import example
from tests.predict.picture import CHROMIUM, FLAGS, MOST_BYTES, picture, shoot

pytestmark = [
  pytest.mark.slow,
  pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine"),
]


@pytest.fixture(scope="module")
def page(tmp_path_factory):
  path = tmp_path_factory.mktemp("example") / "report.html"
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(sys, "argv", ["example", str(path)])
    example.main()
  return path


@pytest.mark.parametrize(("width", "dark"), [(390, True), (1280, False)])
def test_the_page_opens_without_an_error(page, tmp_path, width, dark):
  image, said = shoot(page, tmp_path, width, 1400, dark=dark)
  # Script errors and blocked content are printed as "CONSOLE".
  assert "CONSOLE" not in said, said
  assert len(np.unique(image.reshape(-1, 3), axis=0)) > 50
  assert (np.median(image) < 60) if dark else (np.median(image) > 200)


def test_the_script_runs(page, tmp_path):
  done = subprocess.run(
    [CHROMIUM, *FLAGS, f"--user-data-dir={tmp_path}", "--dump-dom", page.as_uri()],
    capture_output=True,
    text=True,
    timeout=120,
    check=True,
  )
  assert '<html lang="en" class="scripted">' in done.stdout
  assert done.stdout.count('class="compare live"') == len(example.SHOWN)
  assert done.stdout.count("show in the time line") >= len(example.SHOWN)


def test_its_picture_is_small(page):
  data = picture(page)
  image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
  assert len(data) <= MOST_BYTES
  assert image.shape[1] == 1160 and 800 < image.shape[0] < 2300
