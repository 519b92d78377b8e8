"""What the movie's pictures show: the face that stays in place, marks and words."""

import dataclasses

import numpy as np

from infusenet_jax.predict.show.stage import BAR, Stage, layout
from tests.predict.reports import make_frames, make_interval, make_report

MARK = (45, 189, 174)


def moving_report(*onsets):
  """A head that moves a pixel a frame, and eyes that are 30 px apart."""
  frames = make_frames(100)
  frames.eyes[..., 0] += np.arange(100)[:, None]
  intervals = [make_interval(frames, onset) for onset in onsets]
  return make_report(frames=frames, intervals=intervals)


def picture_of(number):
  """A bright dot between the eyes, which moves with them, one grey level a frame."""
  image = np.zeros((96, 200, 3), np.uint8)
  image[38:43, number + 43 : number + 48] = 100 + number
  return image


def play(report, last=100):
  """(frame, onset, face) of all calls of the magnifier, and faces as they are shown."""
  seen = []

  def magnify(onset, face):
    seen.append((onset, face))
    return face

  stage = Stage(report, magnify, amp=10, size=64)
  for number in range(last):
    stage.draw(number, number / 100, picture_of(number))
  return seen


def dot(face):
  """Where the dot is, and how bright."""
  x = np.average(np.arange(face.shape[1]), weights=face[..., 0].sum(0) + 1e-9)
  return float(x), int(face.max())


def test_the_face_keeps_the_place_it_has_at_the_onset():
  seen = play(moving_report(30))
  assert len(seen) == 21
  places = [dot(face)[0] for _, face in seen]
  # 22.4 px of the crop are 30 px of the picture.
  np.testing.assert_allclose(np.diff(places[:10]), 22.4 / 30, atol=0.1)
  assert abs(places[0] - 31.5) < 0.5
  assert {dot(onset)[0] for onset, _ in seen} == {places[0]}


def test_each_of_two_overlapping_intervals_has_its_own_onset():
  seen = play(moving_report(30, 40))
  onsets = [round(dot(onset)[1]) for onset, _ in seen]
  assert len(seen) == 31
  assert set(np.abs(np.array(onsets[:21]) - 130)) <= {0, 1, 2, 3}
  assert set(np.abs(np.array(onsets[21:]) - 140)) <= {0, 1, 2, 3}


def test_between_intervals_the_face_is_aligned_again_where_the_head_moves():
  stage, eyes = Stage(moving_report(), None, amp=10, size=64), []
  for number in range(10):
    stage.draw(number, number / 100, picture_of(number))
    eyes.append(float(stage.eyes[0, 0]))
  assert eyes == [30, 30, 30, 30, 34, 34, 34, 34, 38, 38]


def test_the_box_is_about_the_face():
  report = make_report(count=80, onsets=(30,))
  stage = Stage(report, lambda onset, face: face, amp=10, size=64)
  picture = stage.draw(35, 0.35, np.zeros((96, 128, 3), np.uint8))
  place = layout(128, 96)
  marked = (np.abs(picture.astype(int) - MARK).max(-1) < 10)[: place.height]
  rows, columns = (
    np.flatnonzero(marked[:, : place.width].any(axis)) for axis in (1, 0)
  )
  scale = place.width / 128
  for found, (low, high) in ((rows, (10, 70)), (columns, (10, 70))):
    np.testing.assert_allclose(found[[0, -1]], [scale * low, scale * high], atol=3)


def test_every_picture_says_that_weights_are_simulated():
  report = make_report(count=80, onsets=())
  said = dataclasses.replace(report, model={"simulated": True})
  image = np.zeros((96, 128, 3), np.uint8)
  plain, labelled = (
    Stage(each, None, amp=10, size=64).draw(0, 0.0, image)[-BAR:]
    for each in (report, said)
  )
  assert (labelled > 100).sum() > 2 * (plain > 100).sum() > 0
