"""Frames read from files: what is no picture is refused in one line, never decoded."""

import base64
import struct
import zlib

import cv2
import numpy as np
import pytest

from infusenet_jax.clips.frames import images
from infusenet_jax.clips.frames.header import image_size
from infusenet_jax.clips.frames.images import (
  LEAST_SIDE,
  flow_colours,
  frame_uri,
  heat_colours,
  read_frame,
)
from tests.data_prep.trees import draw_frame, write_frame


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_reading_frames(tmp_path, suffix):
  path = write_frame(tmp_path / f"a{suffix}")
  image = read_frame(path)
  assert image.shape == (64, 64, 3)
  assert np.abs(image.astype(int) - draw_frame(0)).mean() < 4
  whole = path.read_bytes()
  path.write_bytes(whole[: len(whole) // 2])
  with pytest.raises(
    ValueError, match=rf"a\{suffix}: truncated image, {path.stat().st_size}"
  ):
    read_frame(path)
  path.write_bytes(b"")
  with pytest.raises(ValueError, match="zero bytes"):
    read_frame(path)
  path.write_bytes(b"<html>")
  with pytest.raises(ValueError, match="not an image"):
    read_frame(path)
  path.unlink()
  with pytest.raises(ValueError, match="No such file"):
    read_frame(path)


def test_grey_frames_get_three_equal_channels(tmp_path):
  path = tmp_path / "grey.jpg"
  cv2.imwrite(str(path), draw_frame(0)[..., 0])
  image = read_frame(path)
  assert image.shape == (64, 64, 3)
  np.testing.assert_array_equal(image[..., 0], image[..., 2])


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".tif"])
@pytest.mark.parametrize("channels", [1, 3])
def test_size_from_the_header(tmp_path, suffix, channels):
  path = tmp_path / f"a{suffix}"
  pixels = np.zeros((41, 67, channels), np.uint8)
  for parameters in ([], [cv2.IMWRITE_JPEG_PROGRESSIVE, 1]):
    assert cv2.imwrite(str(path), pixels, parameters if suffix == ".jpg" else [])
    assert image_size(path.read_bytes()) == (67, 41)


def test_size_behind_an_embedded_preview():
  """A preview has a size of its own, inside of a segment that is passed over."""
  whole = cv2.imencode(".jpg", np.zeros((50, 40), np.uint8))[1].tobytes()
  small = cv2.imencode(".jpg", np.zeros((8, 8), np.uint8))[1].tobytes()
  exif = b"\xff\xff\xe1" + struct.pack(">H", len(small) + 2) + small
  assert image_size(whole[:2] + exif + whole[2:]) == (40, 50)


@pytest.mark.parametrize("data", [b"", b"\xff\xd8", b"\xff\xd8\xff", b"BM12", b"II*\0"])
def test_a_header_that_is_cut_off_has_no_size(data):
  assert image_size(data) is None


def chunk(kind, data):
  check = struct.pack(">I", zlib.crc32(kind + data))
  return struct.pack(">I", len(data)) + kind + data + check


def claim_png(width, height):
  """A PNG of tens of bytes with a header that claims any size."""
  header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
  parts = (
    chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"0")) + chunk(b"IEND", b"")
  )
  return b"\x89PNG\r\n\x1a\n" + parts


def claim_jpeg(width, height):
  data = cv2.imencode(".jpg", np.zeros((64, 64), np.uint8))[1].tobytes()
  return data.replace(struct.pack(">HH", 64, 64), struct.pack(">HH", height, width))


@pytest.mark.parametrize("claim", [claim_png, claim_jpeg])
@pytest.mark.parametrize("side", [9000, 60000])
def test_header_that_claims_a_huge_picture(tmp_path, claim, side, monkeypatch):
  path = tmp_path / "img1.jpg"
  path.write_bytes(claim(side, side))
  monkeypatch.setattr(cv2, "imdecode", None)  # Nothing may be decoded.
  with pytest.raises(ValueError, match=rf"img1\.jpg: its header claims {side}x{side}"):
    read_frame(path)


@pytest.mark.parametrize("shape", [(1, 1), (8, 8), (LEAST_SIDE - 1, 500)])
def test_frames_that_can_hold_no_face(tmp_path, shape):
  path = tmp_path / "a.png"
  cv2.imwrite(str(path), np.zeros(shape, np.uint8))
  with pytest.raises(ValueError, match=f"a frame has at least {LEAST_SIDE} a side"):
    read_frame(path)
  cv2.imwrite(str(path), np.zeros((LEAST_SIDE, LEAST_SIDE), np.uint8))
  assert read_frame(path).shape == (LEAST_SIDE, LEAST_SIDE, 3)


def test_exception_of_opencv(tmp_path, monkeypatch):
  path = write_frame(tmp_path / "a.png")

  def refuse(*_):
    raise cv2.error("OpenCV(4): error:\n  (-215:Assertion failed) pixels <= most")

  monkeypatch.setattr(cv2, "imdecode", refuse)
  with pytest.raises(ValueError, match=r"a\.png: OpenCV cannot decode it") as caught:
    read_frame(path)
  assert "\n" not in str(caught.value)


def test_file_of_gigabytes_is_not_read(tmp_path, monkeypatch):
  path = write_frame(tmp_path / "a.png")
  monkeypatch.setattr(images, "MOST_BYTES", 100)
  with pytest.raises(ValueError, match="an image has at most"):
    read_frame(path)


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
