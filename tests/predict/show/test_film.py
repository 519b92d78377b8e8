"""Films as a player reads them: pictures, colours, times, sound."""

import av
import numpy as np
import pytest

from infusenet_jax.predict.show.film import Film
from infusenet_jax.predict.watch.sound import Sound
from infusenet_jax.predict.watch.video import open_footage
from infusenet_jax.runtime.errors import UserError

KINDS = ((".mp4", "h264", "aac"), (".webm", "vp9", "opus"))
COLOURS = ((200, 30, 30), (30, 160, 40), (40, 50, 200), (128, 128, 128))


def plain(colour, shape=(64, 96)):
  return np.full((*shape, 3), colour, np.uint8)


@pytest.mark.parametrize(("suffix", "codec", "_"), KINDS)
def test_pictures_have_their_times_and_colours(tmp_path, suffix, codec, _):
  path, seconds = tmp_path / f"a b é{suffix}", [0, 0.02, 0.05, 0.4]
  with Film(path, 50) as film:
    for at, colour in zip(seconds, COLOURS, strict=True):
      film.write(at, plain(colour))
  assert [p.name for p in tmp_path.iterdir()] == [path.name]
  frames = list(open_footage(path))
  assert [f.seconds for f in frames] == pytest.approx(seconds, abs=1e-3)
  for frame, colour in zip(frames, COLOURS, strict=True):
    assert np.abs(frame.image.mean((0, 1)) - colour).max() < 5
  with av.open(str(path)) as file:
    about = file.streams.video[0].codec_context
    assert (about.name.removeprefix("lib"), about.pix_fmt) == (codec, "yuv420p")
    # What players need in order not to guess: the colours of HD.
    assert about.colorspace == about.color_primaries == about.color_trc == 1


@pytest.mark.parametrize(("suffix", "codec", "_"), KINDS)
def test_odd_sides_get_one_more(tmp_path, suffix, codec, _):
  with Film(tmp_path / f"a{suffix}", None) as film:
    film.write(0, plain((90, 90, 90), (35, 33)))
    with pytest.raises(ValueError, match="in a film of"):
      film.write(1, plain((90, 90, 90), (36, 33)))
  assert film.count == 1 and film.shape == (35, 33)
  (frame,) = open_footage(tmp_path / f"a{suffix}")
  assert frame.image.shape == (36, 34, 3)
  assert np.abs(frame.image.astype(int) - 90).max() < 5


def test_it_plays_while_it_is_loaded(tmp_path):
  with Film(tmp_path / "a.mp4", 50) as film:
    film.write(0, plain(COLOURS[0]))
  data = (tmp_path / "a.mp4").read_bytes()
  assert 0 < data.index(b"moov") < data.index(b"mdat")


def test_other_suffixes_and_folders_that_are_not_there(tmp_path):
  with pytest.raises(UserError, match=r"a\.avi: ends in no \.mp4 or \.webm"):
    Film(tmp_path / "a.avi", 50)
  with (
    pytest.raises(UserError, match=r"a\.mp4: cannot be written"),
    Film(tmp_path / "absent" / "a.mp4", 50) as film,
  ):
    film.write(0, plain(COLOURS[0]))
  assert not list(tmp_path.iterdir())


def test_what_fails_leaves_what_was_there(tmp_path):
  (tmp_path / "a.mp4").write_bytes(b"before")
  with pytest.raises(KeyboardInterrupt), Film(tmp_path / "a.mp4", 50) as film:
    film.write(0, plain(COLOURS[0]))
    raise KeyboardInterrupt
  assert [p.read_bytes() for p in tmp_path.iterdir()] == [b"before"]


def with_sound(path, *, rate=44_100, layout="stereo", audio="aac"):
  """Two seconds at 25 a second; a tone sounds from 0.5 to 1 s."""
  with av.open(str(path), "w") as file:
    video = file.add_stream("libx264", rate=25)
    video.width, video.height, video.pix_fmt = 96, 64, "yuv420p"
    sound = file.add_stream(audio, rate=rate)
    sound.layout = layout
    for number in range(50):
      frame = av.VideoFrame.from_ndarray(plain(COLOURS[3]), format="rgb24")
      file.mux(video.encode(frame))
      start, stop = (round(n * rate / 25) for n in (number, number + 1))
      at = np.arange(start, stop) / rate
      wave = 0.4 * np.sin(2 * np.pi * 440 * at) * ((at >= 0.5) & (at < 1))
      wave = np.tile(np.float32(wave), (2 if layout == "stereo" else 1, 1))
      piece = av.AudioFrame.from_ndarray(wave, format="fltp", layout=layout)
      piece.sample_rate, piece.pts = rate, start
      file.mux(sound.encode(piece))
    for stream in (video, sound):
      file.mux(stream.encode(None))
  return path


def loud(path) -> tuple[float, float, int]:
  """When it is first and last loud, and how many channels there are."""
  with av.open(str(path)) as file:
    stream = file.streams.audio[0]
    pieces = [(f.time, f.to_ndarray(), f.sample_rate) for f in file.decode(stream)]
    channels = stream.channels
  times = [
    at + np.flatnonzero(np.abs(wave[0]) > 0.2) / rate for at, wave, rate in pieces
  ]
  times = np.concatenate(times)
  return times[0], times[-1], channels


@pytest.mark.parametrize(("suffix", "_", "codec"), KINDS)
@pytest.mark.parametrize("layout", ["mono", "stereo"])
def test_sound_stays_with_the_pictures(tmp_path, suffix, _, codec, layout):
  source = with_sound(tmp_path / "source.mkv", layout=layout)
  first, last, channels = loud(source)
  path = tmp_path / f"film{suffix}"
  with Film(path, 25, Sound.of(source)) as film:
    for frame in open_footage(source):
      film.write(frame.seconds, frame.image)
  found = loud(path)
  assert found[:2] == pytest.approx((first, last), abs=0.01)
  assert found[2] == channels
  with av.open(str(path)) as file:
    assert file.streams.audio[0].codec_context.name == codec
    assert file.duration / av.time_base == pytest.approx(2, abs=0.06)


def test_sound_ends_with_the_pictures(tmp_path):
  """As it does when the user stops it."""
  source = with_sound(tmp_path / "source.mkv")
  with Film(tmp_path / "film.mp4", 25, Sound.of(source)) as film:
    for number in range(20):
      film.write(number / 25, plain(COLOURS[0]))
  with av.open(str(tmp_path / "film.mp4")) as file:
    assert file.duration / av.time_base == pytest.approx(0.8, abs=0.06)
  assert loud(tmp_path / "film.mp4")[0] == pytest.approx(0.5, abs=0.01)


def test_time_begins_with_the_first_picture(tmp_path):
  """Streams that were recorded begin anywhere."""
  source = with_sound(tmp_path / "source.ts")
  with av.open(str(source)) as file:
    begins = next(file.decode(video=0)).time
  assert begins > 0.05
  with Film(tmp_path / "film.mp4", 25, Sound.of(source)) as film:
    for frame in open_footage(source):
      film.write(frame.seconds, frame.image)
  first, last, _ = loud(source)
  found = loud(tmp_path / "film.mp4")[:2]
  assert found == pytest.approx((first - begins, last - begins), abs=0.01)


def test_videos_without_sound(tmp_path, film):
  assert Sound.of(film) is None
  assert Sound.of(tmp_path / "absent.mp4") is None
