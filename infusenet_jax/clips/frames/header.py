"""Reads the width and height of an image from its header, before it is decoded.

A file of 74 bytes may claim 60000 x 60000 pixels, for which a decoder would allocate
11 GB.
"""

import struct

# Markers of JPEG segments that hold the size: SOF0 to SOF15 without DHT, JPG and DAC,
# whose codes lie among them.
_SOF = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_ALONE = frozenset((0x01, *range(0xD0, 0xDA)))  # Segments without a length.


def image_size(data: bytes) -> tuple[int, int] | None:
  """Reads the (width, height) that a PNG, JPEG, BMP or TIFF file claims to have.

  Args:
    data: the file, or enough of its beginning. In a JPEG the size may come after an
      embedded preview, in a TIFF at the end.

  Returns:
    None if the data are of no such file, or do not reach as far as its size.
  """
  try:
    if data[:8] == b"\x89PNG\r\n\x1a\n":
      return struct.unpack(">II", data[16:24])
    if data[:2] == b"\xff\xd8":
      return _jpeg(data)
    if data[:2] == b"BM":
      width, height = struct.unpack("<ii", data[18:26])
      return abs(width), abs(height)  # A negative height means top-down.
    if data[:4] in (b"II*\0", b"MM\0*"):
      return _tiff(data)
  except (struct.error, IndexError):
    pass
  return None


def _jpeg(data: bytes) -> tuple[int, int] | None:
  at = 2
  while at < len(data):
    if data[at] != 0xFF:
      return None
    marker = data[at + 1]
    if marker == 0xFF:  # Padding.
      at += 1
    elif marker in _ALONE:
      at += 2
    elif marker in _SOF:
      height, width = struct.unpack(">HH", data[at + 5 : at + 9])
      return width, height
    else:
      at += 2 + struct.unpack(">H", data[at + 2 : at + 4])[0]
  return None


def _tiff(data: bytes) -> tuple[int, int] | None:
  order = "<" if data[:2] == b"II" else ">"
  (at,) = struct.unpack(order + "I", data[4:8])
  (count,) = struct.unpack(order + "H", data[at : at + 2])
  size = {}
  for start in range(at + 2, at + 2 + 12 * count, 12):
    tag, kind = struct.unpack(order + "HH", data[start : start + 4])
    if tag in (256, 257):
      form = "H" if kind == 3 else "I"
      width = struct.calcsize(form)
      (size[tag],) = struct.unpack(order + form, data[start + 8 : start + 8 + width])
  return (size[256], size[257]) if len(size) == 2 else None
