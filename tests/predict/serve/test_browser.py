"""The page in a browser: videos, a crash, a correction, and no call elsewhere."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest

CHROMIUM, DRIVER = (
  next(filter(None, map(shutil.which, names)), None)
  for names in (("chromium", "chromium-browser", "google-chrome"), ("chromedriver",))
)
pytestmark = [
  pytest.mark.slow,
  pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="needs Chromium and its driver"),
]
webdriver = pytest.importorskip("selenium.webdriver")
pytest.importorskip("gradio")


@pytest.fixture
def server(tmp_path):
  """Its address, its process, and a file with the calls that it made."""
  calls, folder = tmp_path / "calls", tmp_path / "tmp"
  folder.mkdir()
  line = [sys.executable, "-u", "-m", "tests.predict.serve.app", str(calls)]
  line += ["--port", "0", "--no-browser"]
  environment = os.environ | {"TMPDIR": str(folder)}
  environment["PYTHONPATH"] = str(Path(__file__).parents[3])
  with subprocess.Popen(
    line, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
  ) as process:
    try:
      said = []
      while not (address := re.search(r"Open (http://\S+)", "".join(said))):
        said.append(process.stdout.readline())
        assert said[-1], "".join(said)
      yield address[1], process, calls, folder
    finally:
      process.kill()


@pytest.fixture
def browser(tmp_path):
  options = webdriver.ChromeOptions()
  options.binary_location = CHROMIUM
  for flag in (
    *("headless=new", "no-sandbox", "disable-gpu", "disable-dev-shm-usage"),
    *("window-size=1280,900", f"user-data-dir={tmp_path / 'browser'}"),
  ):
    options.add_argument(f"--{flag}")
  options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
  service = webdriver.ChromeService(DRIVER)
  browser = webdriver.Chrome(options=options, service=service)
  browser.implicitly_wait(0)
  yield browser
  browser.quit()


def until(condition, seconds=120):
  ends = time.monotonic() + seconds
  while not (found := condition()):
    assert time.monotonic() < ends
    time.sleep(0.1)
  return found


def asked_for(browser):
  """The addresses that the browser asked for anything."""
  messages = (json.loads(e["message"]) for e in browser.get_log("performance"))
  for message in (message["message"] for message in messages):
    if message["method"] == "Network.requestWillBeSent":
      yield message["params"]["request"]["url"]
    if message["method"] == "Network.webSocketCreated":
      yield message["params"]["url"]


def test_a_page_for_those_who_do_not_type(server, browser, tmp_path):
  address, process, calls, folder = server
  find = lambda css: browser.find_elements("css selector", css)  # noqa: E731
  status = lambda: browser.execute_script(  # noqa: E731
    "return document.getElementById('status')?.innerText || ''"
  )
  browser.get(address)
  until(lambda: find("#start"))
  assert "trained on simulated faces: for trying out" in find(".badge")[0].text

  names = ("a.mp4", "bad Müller.mp4", "crash.mp4", "b.mp4")
  for name in names:
    (tmp_path / name).write_bytes(b"film" + name.encode())
  files = "\n".join(str(tmp_path / name) for name in names)
  find("#files input[type=file]")[0].send_keys(files)
  until(lambda: len(find("#files tr")) == len(names))
  find("#start")[0].click()
  until(lambda: len(find("li.finished")) == 2 and len(find("li.failed")) == 2)
  assert "not a video; copy it again" in status() and "ended with status 7" in status()
  assert "bad Müller.mp4" in status() and "2 intervals" in status()

  (frame,) = until(lambda: find("iframe.report"))
  assert frame.get_attribute("sandbox") == "allow-scripts"
  browser.switch_to.frame(frame)
  until(lambda: "ben.mp4" in "".join(h.text for h in find("h1")))
  assert find("html.scripted")
  browser.switch_to.default_content()

  browser.execute_script("document.querySelector('#correct button').click()")
  until(lambda: find("#table td"))
  until(lambda: find("#again") and find("#again")[0].is_displayed())
  browser.execute_script("document.querySelector('#again').click()")
  fetched = until(lambda: find("a[href*='corrected.csv']"))[0].get_attribute("href")
  assert "/videos/1/2/" in fetched
  table = browser.execute_async_script(
    "const done = arguments[1];"
    "fetch(arguments[0]).then(r => r.text()).then(done, e => done(String(e)))",
    fetched,
  )
  assert table.split() == ["onset,apex,offset", "100,108,120", "500,508,520"]

  for width in (1280, 390):
    browser.execute_cdp_cmd(
      "Emulation.setDeviceMetricsOverride",
      {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500},
    )
    time.sleep(0.5)
    script = "return document.documentElement.scrollWidth"
    assert browser.execute_script(script) <= width

  # What a browser shows of its own (chrome://newtab and the like) comes from no net.
  urls = [urlsplit(url) for url in asked_for(browser)]
  urls = [url for url in urls if url.scheme in ("http", "https", "ws", "wss")]
  assert len(urls) > 20
  assert {url.netloc for url in urls} == {urlsplit(address).netloc}
  severe = [e["message"] for e in browser.get_log("browser") if e["level"] == "SEVERE"]
  assert not severe

  process.send_signal(signal.SIGTERM)
  assert process.wait(30) == 0
  assert "videos and results are deleted" in process.stdout.read()
  assert not list(folder.glob("infusenet-serve-*"))
  for call in calls.read_text().splitlines():
    assert re.search(r"127\.0\.0\.1|localhost|::1|'/|None", call), call
