"""A photographed face, moved by single AUs as the simulator moves drawn ones.

    python -m tests.predict.astronaut [--run RUN] [--relief]

prints, for each of the 12 AUs at 1 and 2 pixels of the photograph, which AUs come out
on top. Skin moves in the plane; with `--relief` it bulges and folds as well, lit as a
drawn head of these proportions. It is the face of Eileen Collins,
skimage.data.astronaut() (public domain, NASA); scikit-image comes with the extra
`tvl1`. No more is claimed by it than that real skin, light and optics do not stop the
networks; the motion is the simulator's own.
"""

import argparse
import dataclasses
from pathlib import Path

import cv2
import numpy as np

from data_prep.simulator.portrait import action_units, canvas
from data_prep.simulator.portrait.canvas import SIDES
from data_prep.simulator.portrait.face import Lighting, draw_portrait
from data_prep.simulator.portrait.identity import Identity, draw_identity
from data_prep.simulator.portrait.relief import relief
from infusenet_jax.clips.faces.alignment import Face
from infusenet_jax.clips.faces.detector import FaceDetector
from infusenet_jax.clips.labels import AU_NAMES, AUS
from infusenet_jax.predict.analysis import analyse
from infusenet_jax.predict.weights.networks import load_run, shipped
from infusenet_jax.runtime.devices import keep_compiled

FPS = 100
ONSET, APEX, OFFSET = 5, 20, 40  # Of 46 frames.
PIXELS = (1.0, 2.0)


def photograph() -> np.ndarray:
  """(512, 512, 3) uint8 RGB."""
  import skimage.data  # An extra.

  return skimage.data.astronaut()


def proportions(face: Face) -> Identity:
  """Somebody whose features lie where this face's do."""
  who = draw_identity(np.random.default_rng(0))
  points = _to_face(face, face.landmarks)
  (_, tip), left, right = points[2], points[3], points[4]
  return dataclasses.replace(
    who,
    nose_tip=float(tip),
    mouth=float((left[1] + right[1]) / 2),
    mouth_width=float((right[0] - left[0]) / 2),
  )


def _to_face(face: Face, points: np.ndarray) -> np.ndarray:
  """Pixels to distances between the eyes, from the point between them."""
  turn = np.radians(face.angle)
  cos, sin = np.cos(turn), np.sin(turn)
  moved = (points - face.eyes.mean(0)) / face.eye_distance
  return moved @ np.array([[cos, -sin], [sin, cos]])


def _on_face(values: np.ndarray, face: Face, shape: tuple[int, int]) -> np.ndarray:
  """Values on every `STEP`-th pixel of the canvas, brought to the photograph's."""
  y, x = np.mgrid[: shape[0], : shape[1]]
  places = _to_face(face, np.stack([x, y], -1).astype(float))
  scale = canvas.PIXELS / action_units.STEP
  at = ((places - (canvas.LEFT, canvas.TOP)) * scale).astype(np.float32)
  return cv2.remap(values, at[..., 0], at[..., 1], cv2.INTER_LINEAR)


def field(face: Face, who: Identity, au: int, shape: tuple[int, int]) -> np.ndarray:
  """Displacement (H, W, 2) of an AU on both sides, its largest length 1 pixel."""
  moved = _on_face(
    sum(action_units.displacement(au, who, side) for side in SIDES), face, shape
  )
  turn = np.radians(face.angle)
  cos, sin = np.cos(turn), np.sin(turn)
  moved = moved @ np.array([[cos, sin], [-sin, cos]], np.float32)
  return moved / np.linalg.norm(moved, axis=-1).max()


def change_of_light(
  face: Face, who: Identity, au: int, pixels: float, shape: tuple[int, int]
) -> np.ndarray:
  """How relief of an AU of so many pixels changes the skin's light (H, W, 1)."""
  portrait = draw_portrait(who, Lighting(), np.random.default_rng(0))
  raised = sum(relief(au, who, side) for side in SIDES) * (pixels / face.eye_distance)
  return _on_face(portrait.light_on(raised), face, shape)[..., None]


def animate(
  au: int, pixels: float, noise: float = 1.0, *, folds: bool = False
) -> np.ndarray:
  """Frames (46, 512, 512, 3) in which one AU rises to `pixels` and sinks again.

  Each has noise of its own, as cameras give: `noise` grey levels, normal. With `folds`
  skin bulges and folds.
  """
  image = photograph()
  face = FaceDetector().largest(image[..., ::-1])
  who, size = proportions(face), image.shape[:2]
  moved, light = field(face, who, au, size), np.zeros((*size, 1))
  if folds:
    light = change_of_light(face, who, au, pixels, size)
  y, x = np.mgrid[: size[0], : size[1]].astype(np.float32)
  rng = np.random.default_rng(au)
  frames = []
  for number in range(OFFSET + 6):
    share = np.interp(number, [ONSET, APEX, OFFSET], [0, 1, 0])
    rise = np.float32(np.sin(np.pi / 2 * share) ** 2)
    push = pixels * rise * moved
    # Grey levels are about the 2.2th root of light.
    lit = np.float32(image * (1 + rise * light) ** (1 / 2.2))
    frame = cv2.remap(lit, x - push[..., 0], y - push[..., 1], cv2.INTER_CUBIC)
    frame = frame + rng.normal(0, noise, frame.shape)
    frames.append(np.clip(frame.round(), 0, 255).astype(np.uint8))
  return np.stack(frames)


def main() -> None:
  parser = argparse.ArgumentParser(prog="python -m tests.predict.astronaut")
  parser.add_argument("--run", type=Path, help="default: the weights that ship")
  parser.add_argument("--relief", action="store_true", help="skin bulges and folds")
  options = parser.parse_args()
  keep_compiled()
  networks = load_run(options.run) if options.run else shipped()
  places = []
  for pixels in PIXELS:
    for au in AUS:
      report = analyse(
        animate(au, pixels, folds=options.relief),
        FPS,
        networks=networks,
        intervals=[(ONSET, APEX, OFFSET)],
        pictures=False,
      )
      probability = report.intervals[0].probability
      order = [AUS[i] for i in np.argsort(-probability)]
      places.append((pixels, order.index(au) + 1))
      top = ", ".join(f"AU{a:02d} {probability[AUS.index(a)]:.2f}" for a in order[:3])
      place = f"place {order.index(au) + 1}"
      print(f"{pixels:g} px  AU{au:02d} {AU_NAMES[au]:21} {place:9} {top}", flush=True)
  for pixels in PIXELS:
    first = sum(place == 1 for at, place in places if at == pixels)
    three = sum(place <= 3 for at, place in places if at == pixels)
    print(f"{pixels:g} px: on top {first} of {len(AUS)}, among three {three}")


if __name__ == "__main__":
  main()
