"""Clips of anybody's, by a CSV file: folders of frames and videos become databases."""

import pytest

from data_prep.databases.own import open_own
from infusenet_jax.runtime.errors import UserError
from tests.data_prep.trees import draw_frame, write_clip, write_video

HEADER = "database,subject,clip,path,onset,apex,offset,AUs"


def write_own(folder, *lines, header=HEADER):
  folder.mkdir(exist_ok=True)
  (folder / "own.csv").write_text("\n".join([header, *lines]) + "\n")
  return folder / "own.csv"


@pytest.fixture
def media(tmp_path):
  """A folder of frames 5 to 12 and a video of 20 frames at 60 a second."""
  write_clip(tmp_path / "anna", "frame_{:03d}.png", 5, 9, 12)
  frames = [draw_frame(n / 10) for n in range(20)]
  write_video(tmp_path / "ben.avi", frames, fps=60)
  return tmp_path


def test_folders_and_videos_become_databases(media):
  file = write_own(
    media,
    "lab_a,anna,smile,anna,5,9,12,R12A + 6(k)",
    f"lab_a,ben,1,{media}/ben.avi,0,10,19,4+?",
    "lab_b,ben,2,ben.avi,3,8,15,",
  )
  (first, a), (second, b) = open_own(file)
  assert (first, second) == (a.key, b.key) == ("lab_a", "lab_b")
  assert a.problems == b.problems == []
  smile, one = a.clips
  assert [clip.clip.labels.index(1) for clip in a.clips] == [8, 2]  # AU12 and AU4.
  assert sum(smile.clip.labels) == 1  # (k): the coder was unsure.
  assert (smile.onset, smile.apex, smile.clip.offset) == (5, 9, 12)
  assert smile.files[9] == media / "anna/frame_009.png"
  assert (smile.fps, smile.candidates, smile.video) == (30, (8, 10), False)
  assert (one.fps, one.candidates, one.video) == (60, (7, 8, 9, 11, 12, 13), True)
  assert set(one.files.values()) == {media / "ben.avi"}
  assert a.taken == ["own.csv, 2 clips", "full frames: 1 folders of frames, 1 videos"]
  assert a.notes == ["lab_a: 1 clips have no fps; 30 frames a second are assumed"]
  assert a.published == {"published_clips": None, "published_subjects": None}
  assert a.compare_counts([], []) == []
  assert sum(b.clips[0].clip.labels) == 0


def test_columns_in_any_order_with_fps_and_emotion(media):
  header = "AUs,Apex,path,fps,offset,Clip,subject,DATABASE,onset,emotion,remark"
  file = write_own(media, "4,9,anna,100,12,c,s,lab,5,Joy,x", "", header=header)
  ((_, database),) = open_own(file, cropped=True)
  (keys,) = database.clips
  assert (keys.fps, keys.cropped, keys.clip.emotion) == (100, True, "joy")
  assert keys.candidates == (5, 6, 7, 8, 10, 11, 12)
  assert database.notes == []


BAD = {
  "onset": ("lab,s,c,anna,x,9,12,4", "onset is 'x', not a frame number"),
  "order": ("lab,s,c,anna,5,4,12,4", "apex 4 is outside the clip, onset 5 to offset"),
  "aus": ("lab,s,c,anna,5,9,12,4/7", "put a + between AUs"),
  "subject": ("lab,,c,anna,5,9,12,4", "subject is empty"),
  "clip": ('lab,s,"a\nb",anna,5,9,12,4', "expected a name on one line"),
  "path": ("lab,s,c,,5,9,12,4", "path is empty"),
  "nowhere": ("lab,s,c,nowhere,5,9,12,4", "nowhere: no such file"),
  "no frames": ("lab,s,c,empty,5,9,12,4", "no frames in"),
  "picture": ("lab,s,c,anna/frame_005.png,5,9,12,4", "expected a folder of frames or"),
  "text": ("lab,s,c,own.csv,5,9,12,4", "own.csv: not a video"),
  "late": ("lab,s,c,ben.avi,5,90,95,4", "ben.avi (frames 0 to 19)"),
  "gone": ("lab,s,c,anna,5,90,95,4", "anna (frames 5 to 12)"),
  "huge": ("lab,s,c,anna,5,9,3000000000,4", "offset is '3000000000', more than the 9"),
  "short": ("lab,s,c,anna,5", "apex is empty"),
  "twice": ("lab,anna,smile,anna,5,9,12,4", "repeats line 2"),
  "long": ("lab,s,c," + "a" * 5000 + ",5,9,12,4", "expected a name on one line"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_line_costs_its_clip(media, case):
  line, reason = BAD[case]
  (media / "empty").mkdir()
  good = "lab,anna,smile,anna,5,9,12,4"
  ((_, database),) = open_own(write_own(media, good, line))
  assert len(database.clips) == 1
  (problem,) = database.problems
  assert problem.startswith("own.csv line ")
  assert reason in problem
  assert problem.endswith("the line is left out until that is put right")
  assert len(problem) < 400
  assert len(database.lacking) == 1


@pytest.mark.parametrize("fps", ["x", "0", "-1", "nan", "inf", "1e9"])
def test_fps_that_no_camera_has(media, fps):
  file = write_own(media, f"lab,s,c,anna,5,9,12,4,{fps}", header=HEADER + ",fps")
  ((_, failure),) = open_own(file)
  assert f"no clip of lab can be built; own.csv line 2: fps is '{fps}'" in failure


@pytest.mark.parametrize("name", ["", "casme2", "CASME II", "casme_ii", "all", "a-b"])
def test_names_that_no_database_can_have(media, name):
  file = write_own(media, f"{name},s,c,anna,5,9,12,4", "lab,s,c,anna,5,9,12,4")
  (_, failure), (_, database) = open_own(file)
  assert f"own.csv line 2: database is {name!r}; expected a name of up to" in failure
  assert len(database.clips) == 1


def test_files_that_list_no_clips(tmp_path):
  for text, reason in (
    ("", "lacks the column database, subject"),
    ("database;subject;clip", "lacks the column database"),
    (HEADER.replace("apex", "peak"), "lacks the column apex; expected"),
    (HEADER, "lists no clips"),
    (HEADER + '\n"', "not a CSV file"),
    (b"\xff\xfe", "not a CSV file"),
  ):
    file = tmp_path / "own.csv"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(UserError, match=reason):
      open_own(file)
  with pytest.raises(UserError, match="cannot be read"):
    open_own(tmp_path / "absent.csv")


def test_simulated_frames_stay_simulated(media):
  (media / "SIMULATED.json").write_text('{"seed": 1}')
  ((_, database),) = open_own(write_own(media, "lab,s,c,anna,5,9,12,4"))
  assert database.complete_name == "lab (simulated)"
  assert database.source == {"seed": 1}
