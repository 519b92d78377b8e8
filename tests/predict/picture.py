"""A picture of a report's page, for README: its time line and its first interval.

    python -m tests.predict.picture report.html docs/predict.webp

It needs Chromium. The label that a page of simulated faces bears is in the picture.
"""

import argparse
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import cv2
import numpy as np

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
# Without what would be asked of a browser that updates itself.
FLAGS = (
  *("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"),
  *("--disable-quic", "--no-first-run", "--disable-background-networking"),
  *("--disable-component-update", "--disable-sync", "--enable-logging=stderr"),
)
WIDTH, HEIGHT = 1160, 2400
MOST_BYTES = 200_000
_HIDDEN = (
  "<style>#summary, #blinks, #made, .warnings, .hint, .reading,"
  " .interval:not(#interval-1) { display: none !important; }</style></head>"
)


def shoot(page: Path, folder: Path, width: int, height: int, *, dark: bool = False):
  """A screenshot (H, W, 3) uint8 BGR, and what the browser had to say.

  Args:
    page: the HTML file.
    folder: for the picture and the browser's profile.
    width, height: of the window, pixels.
    dark: whether the reader prefers a dark page.
  """
  done = subprocess.run(
    [
      *(CHROMIUM, *FLAGS, f"--window-size={width},{height}"),
      f"--blink-settings=preferredColorScheme={0 if dark else 1}",
      f"--user-data-dir={folder / 'profile'}",
      f"--screenshot={folder / 'page.png'}",
      page.resolve().as_uri(),
    ],
    capture_output=True,
    text=True,
    timeout=120,
    check=True,
  )
  return cv2.imread(str(folder / "page.png")), done.stderr


def picture(page: Path) -> bytes:
  """The picture as WebP of at most 200 kB."""
  with tempfile.TemporaryDirectory() as name:
    folder = Path(name)
    part = folder / "part.html"
    text = page.read_text(encoding="utf-8")
    part.write_text(re.sub("</head>", _HIDDEN, text, count=1), encoding="utf-8")
    image, _ = shoot(part, folder, WIDTH, HEIGHT)
  # Below the page there is paper alone.
  drawn = np.flatnonzero((image != image[-1, 0]).any((1, 2)))
  image = image[: drawn[-1] + 24]
  for quality in range(90, 20, -5):
    _, data = cv2.imencode(".webp", image, [cv2.IMWRITE_WEBP_QUALITY, quality])
    if len(data) <= MOST_BYTES:
      return data.tobytes()
  raise ValueError(f"{page}: no picture of it is below {MOST_BYTES} bytes")


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
  parser.add_argument("page", type=Path, help="a report.html")
  parser.add_argument("picture", type=Path, help="the WebP to be written")
  args = parser.parse_args()
  args.picture.write_bytes(picture(args.page))


if __name__ == "__main__":
  main()
