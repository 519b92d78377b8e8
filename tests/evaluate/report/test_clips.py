import base64

import cv2
import numpy as np
import pytest

from infusenet_jax.evaluate.predictions import Predictions
from infusenet_jax.evaluate.report.clips import (
  MOST_PIXELS,
  Sample,
  Verdict,
  cards,
  draw_face,
  even_columns,
  highest_gate,
)


def run_of(logits, labels):
  """Clips "0", "1" and so on of one subject of SAMM."""
  count = len(logits)
  return Predictions(
    database=np.array(["samm"] * count),
    subject=np.array(["006"] * count),
    clip=np.array([str(i) for i in range(count)]),
    fold=np.array(["samm"] * count),
    seed=np.full(count, 45),
    logits=logits,
    labels=labels.astype(np.uint8),
  )


def decoded(uri):
  """The picture of a data URI, (H, W, 3) RGB."""
  data = np.frombuffer(base64.b64decode(uri.split(",")[1]), np.uint8)
  return cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1].astype(int)


@pytest.fixture
def run():
  """AU1 found, AU2 missed, AU4 a false alarm; a clip at rest; AU1 missed by far."""
  logits, labels = np.full((3, 12), -1.0), np.zeros((3, 12))
  labels[0, :2] = labels[2, 0] = 1
  logits[0, :3] = [2.0, -0.5, 0.25]
  logits[2, 0] = -3.0
  return run_of(logits, labels)


def sample(clip, maps=()):
  frame = np.zeros((8, 8, 3), np.uint8)
  flow = np.zeros((8, 8, 3), np.float32)
  flow[0, 0] = (3, 4, 99)  # Five pixels long; strain is not a part of it.
  return Sample("samm", "006", clip, frame, frame + 90, flow, dict(maps))


def test_samples_say_what_was_found_and_missed(run):
  first, second, third = cards([sample("0"), sample("1"), sample("absent")], run)
  assert (first.database, first.key, first.subject) == ("SAMM", "samm", "006")
  assert first.clip == "0"
  assert first.verdicts == [
    Verdict(1, "found"),
    Verdict(2, "missed"),
    Verdict(4, "false alarm"),
  ]
  assert second.verdicts == [] and third.verdicts is None


def test_samples_show_flow_and_maps_with_their_range_gates_last(run):
  maps = {"gate 1": np.full((2, 2), 0.5), "saliency": np.eye(2) / 4}
  (card,) = cards([sample("0", maps)], run)
  assert [(picture.name, picture.extent) for picture in card.pictures] == [
    ("flow", "up to 5.0 px"),
    ("saliency", "up to 0.25"),
    ("gate 1", "0.500 to 0.500"),
  ]
  assert len({picture.uri for picture in card.pictures} | set(card.face)) == 5


def test_all_gates_are_drawn_on_one_scale_and_a_flat_one_is_flat(run):
  slope = np.tile(np.linspace(0, 0.8, 8), (8, 1))
  first = sample("0", {"gate 1": slope, "saliency": np.eye(8)})
  second = sample("1", {"gate 1": 0.4 + slope / 1000})
  assert highest_gate([first, second]) == 0.8 and highest_gate([]) == 0
  drawn = [decoded(card.pictures[-1].uri) for card in cards([first, second], run)]
  assert np.ptp(drawn[1].sum(-1)) < 12 < np.ptp(drawn[0].sum(-1)) / 20
  # Half of the scale has one colour in both.
  middle = drawn[0][:, 3:5].mean((0, 1))
  np.testing.assert_allclose(drawn[1].mean((0, 1)), middle, atol=25)


@pytest.mark.parametrize("count", range(2, 11))
def test_pictures_fill_their_rows(count):
  columns, has_key = even_columns(count)
  assert (count + has_key) % columns == 0 and 2 <= columns <= 4
  assert has_key == (count in (5, 7, 9))


def test_large_pictures_are_made_smaller_and_small_ones_are_not():
  large = np.full((300, 300, 3), 120, np.uint8)
  face = draw_face(large, large[:40, :40])
  assert decoded(face.onset).shape == (MOST_PIXELS, MOST_PIXELS, 3)
  assert decoded(face.apex).shape == (40, 40, 3)
