"""Frames as they were filmed, with their time, whatever file they come in."""

import gc

import av
import cv2
import numpy as np
import pytest

from infusenet_jax.predict.watch.video import _Clock, open_footage
from infusenet_jax.runtime.errors import UserError
from tests.predict.films import SIDE, face, smiles, wall, write_film


def everything(source, fps=None):
  footage = open_footage(source, fps)
  return footage, list(footage)


def test_frames_are_those_that_were_written(film):
  footage, frames = everything(film)
  assert footage.count == len(frames) == 12
  assert [frame.number for frame in frames] == list(range(12))
  assert [frame.seconds for frame in frames] == pytest.approx(np.arange(12) / 50)
  for frame, image in zip(frames, smiles(), strict=True):
    np.testing.assert_array_equal(frame.image, image)
  assert footage.notes == []


def test_frames_are_read_again_by_number(film):
  footage, frames = everything(film)
  again = list(footage.read([7, 0, 7, 11, 12, 500]))
  assert [frame.number for frame in again] == [0, 7, 11]
  for frame in again:
    assert frame.seconds == frames[frame.number].seconds
    np.testing.assert_array_equal(frame.image, frames[frame.number].image)
  assert list(footage.read([])) == []


def test_frames_do_not_stay_in_memory(film):
  """Asked for their side data they refer to themselves, and stay for gigabytes."""
  gc.collect()
  gc.disable()
  try:
    footage = open_footage(film)
    assert sum(1 for _ in footage) == 12
    assert sum(1 for _ in footage.read([3, 11])) == 2
    alive = sum(isinstance(one, av.VideoFrame) for one in gc.get_objects())
  finally:
    gc.enable()
  assert alive <= 3


def test_time_stamps_count_and_not_the_rate(tmp_path):
  seconds = [0, 0.02, 0.05, 0.051, 0.4]
  path = write_film(tmp_path / "a.mkv", smiles(5), seconds=seconds)
  assert [f.seconds for f in everything(path)[1]] == pytest.approx(seconds, abs=1e-3)


def test_a_given_rate_takes_the_place_of_time_stamps(film):
  """High-speed cameras write files that play slowly."""
  _, frames = everything(film, fps=200)
  assert [frame.seconds for frame in frames] == pytest.approx(np.arange(12) / 200)


def test_time_begins_with_the_first_frame(tmp_path):
  path = write_film(tmp_path / "a.mkv", smiles(3), seconds=[5.0, 5.5, 6.0])
  assert [f.seconds for f in everything(path)[1]] == pytest.approx([0, 0.5, 1.0])


def turned_mp4(path, matrix):
  """An MP4 with a display matrix (a, b, c, d) in its track's header."""
  write_film(path, [_marked()] * 3, codec="libx264", pixels="yuv444p")
  data = bytearray(path.read_bytes())
  at = data.index(b"tkhd") + 4 + 4 + 5 * 4 + 4 * 4  # Version 0: times, ids, layer.
  values = np.frombuffer(bytes(data[at : at + 36]), ">i4").copy()
  assert values.tolist() == [1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30]
  values[[0, 1, 3, 4]] = np.array(matrix) * (1 << 16)
  data[at : at + 36] = values.astype(">i4").tobytes()
  path.write_bytes(data)
  return path


def _marked():
  """A frame that is bright at its top and red on its left."""
  image = np.full((64, 96, 3), 40, np.uint8)
  image[:16] = 200
  image[:, :16] = (200, 0, 0)
  return image


@pytest.mark.parametrize(
  ("matrix", "turned"),
  [
    ((0, 1, -1, 0), lambda x: np.rot90(x, -1)),  # A phone held upright.
    ((-1, 0, 0, -1), lambda x: np.rot90(x, 2)),
    ((0, -1, 1, 0), lambda x: np.rot90(x, 1)),
    ((-1, 0, 0, 1), lambda x: x[:, ::-1]),  # A mirror, as of front cameras.
    ((0, 1, 1, 0), lambda x: x.swapaxes(0, 1)),
  ],
)
def test_turned_video_comes_upright(tmp_path, matrix, turned):
  (frame, *_) = everything(turned_mp4(tmp_path / "a.mp4", matrix))[1]
  expected = turned(_marked())
  assert frame.image.shape == expected.shape
  difference = np.abs(frame.image.astype(int) - expected.astype(int))
  assert difference.mean() < 6


def test_grey_video_has_three_equal_channels(tmp_path):
  grey = [cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in smiles(3)]
  path = write_film(tmp_path / "a.mkv", grey, pixels="gray")
  for frame, image in zip(everything(path)[1], grey, strict=True):
    assert np.abs(frame.image.astype(int) - image[..., None]).max() <= 1


def test_ten_bits_become_eight(tmp_path):
  path = write_film(tmp_path / "a.mkv", smiles(3), pixels="yuv420p10le")
  (frame, *_) = everything(path)[1]
  assert frame.image.dtype == np.uint8
  assert np.abs(frame.image.astype(int) - face(0)).mean() < 4


def test_4k(tmp_path):
  large = cv2.resize(face(), (3840, 2160))
  path = write_film(tmp_path / "a.mp4", [large] * 2, codec="libx264", pixels="yuv420p")
  assert [f.image.shape for f in everything(path)[1]] == [(2160, 3840, 3)] * 2


def test_names_with_spaces_and_other_letters(tmp_path, film):
  path = tmp_path / "Frau Müller – 表情 100%03d.mkv"
  path.write_bytes(film.read_bytes())
  footage, frames = everything(path)
  assert (footage.name, len(frames)) == (path.name, 12)


def test_truncated_video_gives_what_there_is_and_says_so(tmp_path, film):
  path = tmp_path / "cut.mkv"
  path.write_bytes(film.read_bytes()[: film.stat().st_size // 2])
  footage, frames = everything(path)
  assert 3 <= len(frames) <= 8
  (note,) = footage.notes
  assert f"{len(frames)} frames could be read of about" in note


def test_damage_in_the_middle_is_passed_over(tmp_path):
  path = write_film(tmp_path / "a.mov", smiles(16), codec="png", pixels="rgb24")
  data = bytearray(path.read_bytes())
  at = data.index(b"\x89PNG", data.index(b"\x89PNG") + 1)
  data[at : at + 60] = bytes(60)
  path.write_bytes(data)
  footage, frames = everything(path)
  assert [f.number for f in frames] == list(range(15))
  assert [f.seconds for f in frames] == pytest.approx(np.delete(np.arange(16), 1) / 50)
  assert "1 packets could not be decoded; 15 frames" in footage.notes[0]


@pytest.mark.parametrize(
  ("content", "reason"),
  [
    (b"", "zero bytes"),
    (b"no video at all", "not a video that FFmpeg can read"),
    (b"\0\0\0\x18ftypmp42\0\0\0\0", "not a video that FFmpeg can read"),
  ],
)
def test_what_is_no_video_is_refused_in_one_line(tmp_path, content, reason):
  path = tmp_path / "a.mp4"
  path.write_bytes(content)
  with pytest.raises(UserError, match=reason) as refusal:
    everything(path)
  assert str(path) in str(refusal.value) and "\n" not in str(refusal.value)


def test_sound_alone(tmp_path):
  path = tmp_path / "a.wav"
  with av.open(str(path), "w") as container:
    stream = container.add_stream("pcm_s16le", rate=8000, layout="mono")
    frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), layout="mono")
    frame.sample_rate = 8000
    container.mux(stream.encode(frame))
  with pytest.raises(UserError, match="sound alone"):
    everything(path)


def test_video_without_frames(tmp_path):
  path = tmp_path / "a.mov"
  with av.open(str(path), "w") as container:
    stream = container.add_stream("mpeg4", rate=25)
    stream.width = stream.height = 64
    stream.pix_fmt = "yuv420p"
    container.start_encoding()
  with pytest.raises(UserError, match="holds no pictures"):
    everything(path)


def test_video_of_which_no_frame_can_be_decoded(tmp_path):
  path = write_film(tmp_path / "a.mov", smiles(2), codec="png", pixels="rgb24")
  path.write_bytes(path.read_bytes().replace(b"\x89PNG", bytes(4)))
  with pytest.raises(UserError, match="no frame can be decoded"):
    everything(path)


def test_no_rate_in_the_header(tmp_path):
  """Time stamps alone say when frames were filmed."""
  path = write_film(tmp_path / "a.mkv", smiles(4), seconds=[0, 0.1, 0.2, 0.4])
  data = path.read_bytes()
  at = data.index(b"\x23\xe3\x83")  # Matroska's DefaultDuration.
  size = 4 + (data[at + 3] & 0x7F)
  void = bytes([0xEC, 0x80 | (size - 2)]) + bytes(size - 2)
  path.write_bytes(data[:at] + void + data[at + size :])
  assert [f.seconds for f in everything(path)[1]] == pytest.approx([0, 0.1, 0.2, 0.4])


@pytest.mark.parametrize(
  ("rate", "stamps", "seconds"),
  [
    (10, [5.0, 5.1, 5.1, None, 5.35], [0, 0.1, 0.2, 0.3, 0.35]),
    (10, [None, None, 7.0], [0, 0.1, 0.2]),
    (None, [1.0, 1.5, None, 2.5], [0, 0.5, 1.0, 1.5]),
  ],
)
def test_time_goes_on_where_stamps_are_missing_or_wrong(rate, stamps, seconds):
  clock = _Clock("a.mp4", None, rate)
  found = [clock.seconds(number, stamp) for number, stamp in enumerate(stamps)]
  assert found == pytest.approx(seconds)
  (note,) = clock.notes
  assert "time stamps are missing or out of order from frame" in note


def test_neither_time_stamps_nor_rate():
  clock = _Clock("a.mp4", None, None)
  clock.seconds(0, None)
  with pytest.raises(UserError, match=r"a\.mp4: neither time stamps .* --fps 200"):
    clock.seconds(1, None)


def write_folder(folder, names, images=None):
  folder.mkdir()
  for name, image in zip(names, images or smiles(len(names)), strict=True):
    cv2.imwrite(str(folder / name), image[..., ::-1])
  return folder


def test_folder_of_frames_in_natural_order(tmp_path):
  images = smiles(4)
  names = ["img9.png", "img10.png", "img12.png", "img100.png"]
  folder = write_folder(tmp_path / "f", names, images)
  (folder / "notes.txt").write_text("no frame")
  footage, frames = everything(folder, fps=100)
  assert [frame.number for frame in frames] == [9, 10, 12, 100]
  assert [frame.seconds for frame in frames] == pytest.approx([0, 0.01, 0.03, 0.91])
  for frame, image in zip(frames, images, strict=True):
    np.testing.assert_array_equal(frame.image, image)
  assert "88 frames are missing" in footage.notes[0]
  assert [f.number for f in footage.read([12, 10, 11])] == [10, 12]


def test_folders_that_cannot_be_looked_at(tmp_path):
  folder = write_folder(tmp_path / "f", ["a1.png", "b1.png"])
  with pytest.raises(UserError, match=r"a1\.png and b1\.png are both frame 1"):
    open_footage(folder, 100)
  with pytest.raises(UserError, match="give --fps"):
    open_footage(write_folder(tmp_path / "g", ["a1.png"]))
  (tmp_path / "h").mkdir()
  with pytest.raises(UserError, match="holds no frames"):
    open_footage(tmp_path / "h", 100)
  large = write_folder(tmp_path / "i", ["1.png", "2.png"], [face(), face()[:64]])
  with pytest.raises(UserError, match=r"2\.png: 192x64 pixels, the frames before"):
    list(open_footage(large, 100))


def test_unreadable_frames_of_a_folder_are_passed_over(tmp_path):
  folder = write_folder(tmp_path / "f", ["1.png", "2.png", "3.png"])
  (folder / "2.png").write_bytes(b"no picture")
  footage, frames = everything(folder, fps=100)
  assert [frame.number for frame in frames] == [1, 3]
  assert "1 of 3 frames cannot be read" in footage.notes[0]
  for name in ("1.png", "3.png"):
    (folder / name).write_bytes(b"")
  with pytest.raises(UserError, match=r"1\.png: zero bytes"):
    everything(folder, fps=100)


def test_frames_in_memory():
  frames = np.stack(smiles(3))
  _, found = everything(frames, fps=100)
  np.testing.assert_array_equal(np.stack([f.image for f in found]), frames)
  _, grey = everything(frames[..., 0], fps=100)
  np.testing.assert_array_equal(grey[1].image[..., 2], frames[1, ..., 0])


@pytest.mark.parametrize(
  ("frames", "fps", "reason"),
  [
    ([], 100, "no frames were given"),
    (np.zeros((2, SIDE, SIDE, 3), np.uint8), None, "need their frame rate"),
    (np.zeros((2, SIDE, SIDE, 3), np.uint8), 0, "fps is 0"),
    (np.zeros((2, SIDE, SIDE, 3)), 100, "float64"),
    (np.zeros((2, SIDE, SIDE, 4), np.uint8), 100, "4 channels"),
    (np.zeros((2, 8, 8, 3), np.uint8), 100, "8x8 pixels"),
  ],
)
def test_frames_that_are_none(frames, fps, reason):
  with pytest.raises(UserError, match=reason):
    open_footage(frames, fps)


def test_a_frame_of_another_size_among_frames_in_memory():
  with pytest.raises(UserError, match="frame 1 is uint8"):
    everything([face(), wall()[:100]], fps=10)
