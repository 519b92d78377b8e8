"""The commands as a user meets them: exit status, one line per problem."""

import json
import signal
import subprocess
import sys
import time

import cv2
import numpy as np
import openpyxl
import pytest

from infusenet_jax.clips.labels import CLIPS, SUBJECTS
from infusenet_jax.runtime.files import lock
from tests.data_prep.trees import (
  CASME2_HEADER,
  write_all,
  write_casme2,
  write_clip,
  write_workbook,
)


def row_of(table, name):
  return next(line for line in table.splitlines() if line.startswith(name))


@pytest.mark.parametrize("name", ["check", "build"])
def test_root_that_is_missing_or_empty(command, tmp_path, name):
  out = ["--out", tmp_path / "out"] if name == "build" else []
  status, _, lines = command(name, "--root", tmp_path / "nowhere", *out)
  assert status == 2
  (line,) = lines
  assert "nowhere: no such folder" in line
  (tmp_path / "empty").mkdir()
  status, _, lines = command(name, "--root", tmp_path / "empty", *out)
  assert status == 2
  (line,) = lines
  assert "no folder named 'CASME' or 'CASME II'" in line
  assert "it holds nothing" in line
  assert not (tmp_path / "out").exists()


def test_database_that_is_asked_for_and_missing(command, tmp_path):
  write_casme2(tmp_path)
  status, _, (line,) = command(
    "check", "--root", tmp_path, "--databases", "casme2,samm"
  )
  assert status == 2
  assert "no folder named 'SAMM'; it holds CASME II" in line
  status, _, (line,) = command("check", "--root", tmp_path, "--databases", "smic")
  assert status == 2
  assert "'smic' is no database; choose from casme, casme2" in line


def test_check_of_all_six(command, tmp_path):
  write_all(tmp_path)
  status, table, lines = command("check", "--root", tmp_path)
  assert status == 1  # All can be built, but they are not what was published.
  assert [line for line in lines if "not comparable" in line] == [
    f"{key}: 2 clips of {subjects} subjects, published are {CLIPS[key]} of"
    f" {SUBJECTS[key]}: results on it are not comparable"
    for key, subjects in zip(CLIPS, (2, 2, 2, 2, 1, 1), strict=True)
  ]
  assert "casme3a: 852 more are missing that the workbook does not list" in lines
  assert "casme3a: missing by name, 6: spNO.149/d, spNO.216/d" in "\n".join(lines)
  (note,) = [line for line in lines if line.split(":")[0] not in CLIPS]
  assert note.endswith(
    "S49/S49_001_01_1: labels are in their own rows, nothing swapped"
  )
  assert row_of(table, "CAS(ME)^3  ").split() == [
    *("CAS(ME)^3", "2", "of", "860", "1", "of", "94"),
    *("0", "0", "0", "0", "0", "yes"),
  ]
  at = table.splitlines().index(f"CAS(ME)^3, {tmp_path}/CAS(ME)^3")
  assert table.splitlines()[at + 1 : at + 3] == [
    "  workbook cas(me)3_part_A_ME_label_JpgIndex_v2.xlsx, 2 rows",
    "  full frames, clip release, Part_A_ME_clip (2 clips)",
  ]


def test_check_lists_the_fixes_and_what_is_not_there(command, tmp_path):
  write_casme2(tmp_path, [[4, "EP12_01f", 270, "/", 284, "4", "x"]], frames=False)
  clip = tmp_path / "CASME II/CASME2_RAW_selected/sub04/EP12_01f"
  write_clip(clip, "img{}.jpg", 270, 279, 284)
  (clip / "img275.jpg").unlink()
  status, table, lines = command("check", "--root", tmp_path)
  assert status == 1
  assert "04/EP12_01f" not in "".join(lines)
  assert "    04/EP12_01f: apex / -> 279" in table.splitlines()
  cells = row_of(table, "CASME II  ").split("  ")
  assert [c.strip() for c in cells if c.strip()] == [
    *("CASME II", "1 of 256", "1 of 26", "0", "1", "0", "0", "1", "yes")
  ]
  assert "not there" in row_of(table, "SAMM")


def test_check_of_simulated_data_says_so(command, tmp_path):
  write_casme2(tmp_path)
  (tmp_path / "SIMULATED.json").write_text(json.dumps({"frames": "key"}))
  status, table, _ = command("check", "--root", tmp_path)
  assert status == 0
  assert "CASME II (simulated)" in row_of(table, "CASME II (simulated)  ")
  assert "of 256" not in table
  for content, reason in (("{", "not readable JSON"), ("{}", "does not say how")):
    (tmp_path / "SIMULATED.json").write_text(content)
    status, _, (line,) = command("check", "--root", tmp_path)
    assert status == 2
    assert f"SIMULATED.json: {reason}" in line
  (tmp_path / "SIMULATED.json").rename(tmp_path / "SIMULATED.partial.json")
  status, _, (line,) = command("check", "--root", tmp_path)
  assert status == 2
  assert "its simulation was not finished" in line


def broken_casme2(root):
  """Every kind of bad row and file beside two good clips; what each line must say."""
  good = [[1, "EP01", 1, 4, 8, "4", "x"], [2, "EP02", 1, 4, 8, "12", "x"]]
  bad = [
    [3, "EP03", "one", 4, 8, "4", "x"],
    [3, "EP04", 1, 9, 8, "4", "x"],
    [1, "EP01", 1, 4, 8, "4", "x"],
    [4, "EP05", 1, 4, 8, "4", "x"],  # No folder.
    [5, "EP06", 1, 4, 8, "4", "x"],  # Truncated onset.
    [5, "EP07", 1, 4, 8, "4", "x"],  # Zero-byte apex.
    [5, "EP08", 1, 4, 8, "4", "x"],  # Unreadable neighbour: the clip stays.
  ]
  folder = write_casme2(root, [*good, *bad], frames=False)
  for subject, filename, onset, apex, offset, *_ in [*good, *bad[-3:]]:
    clip = folder / f"CASME2_RAW_selected/sub{subject:02d}/{filename}"
    write_clip(clip, "img{}.jpg", onset, apex, offset)
  clips = folder / "CASME2_RAW_selected/sub05"
  data = (clips / "EP06/img1.jpg").read_bytes()
  (clips / "EP06/img1.jpg").write_bytes(data[: len(data) // 2])
  (clips / "EP07/img4.jpg").write_bytes(b"")
  (clips / "EP08/img6.jpg").write_bytes(b"garbage")
  rows = [
    "updated.xlsx row 4 (03/EP03): onset is 'one', not a frame number",
    "updated.xlsx row 5 (03/EP04): apex 9 is outside the clip, onset 1 to offset 8",
    "updated.xlsx row 6 (01/EP01): repeats row 2",
    "updated.xlsx row 7 (04/EP05): no frames in CASME2_RAW_selected/sub04/EP05",
  ]
  images = [
    f"EP06/img1.jpg: truncated image, {len(data) // 2} bytes",
    "EP07/img4.jpg: zero bytes",
    "EP08/img6.jpg: not an image",
  ]
  return rows, images


@pytest.mark.slow
def test_bad_input_is_listed_and_the_rest_is_built(command, tmp_path):
  rows, images = broken_casme2(tmp_path / "root")
  counts = [
    "casme2: 3 clips of 3 subjects, published are 256 of 26: results on it are not",
    ", 03/EP03, 03/EP04, 04/EP05, 05/EP06, 05/EP07",
    "more are missing that the workbook does not list",
  ]
  status, table, lines = command("check", "--root", tmp_path / "root")
  assert status == 1
  for line, expected in zip(lines, rows + images + counts, strict=True):
    assert expected in line
  assert row_of(table, "CASME II  ").split()[2:5] == ["3", "of", "256"]
  build = ["build", "--root", tmp_path / "root", "--out", tmp_path / "out"]
  for _ in range(2):  # The second time nothing is built, and it is still said.
    status, table, lines = command(*build, "--size", 64, "--faces", "none")
    assert status == 1
    for line, expected in zip(lines, rows + images + counts, strict=True):
      assert expected in line
    cells = row_of(table, "CASME II  ").split()
    assert cells[2:5] == ["3", "of", "6"]
    assert cells[8] == "7"


def test_one_broken_database_does_not_stop_the_others(command, tmp_path):
  write_all(tmp_path / "root")
  book = tmp_path / "root/casme/casme.xlsx"
  sheet = openpyxl.load_workbook(book)
  sheet.active["D1"] = "Peak"
  sheet.save(book)
  build = ["build", "--root", tmp_path / "root", "--out", tmp_path / "out"]
  status, table, lines = command(*build, "--size", 64, "--faces", "none")
  assert status == 2
  assert "casme.xlsx: no column for apex" in lines[0]
  assert "Peak" in lines[0]
  assert "not built" in row_of(table, "CASME   ")
  assert "2 of 2" in row_of(table, "SAMM  ")
  assert not (tmp_path / "out/casme").exists()
  status, table, again = command("check", "--root", tmp_path / "root")
  assert (status, again) == (2, lines)


def test_workbook_without_frames_and_frames_without_workbook(command, tmp_path):
  folder = write_casme2(tmp_path / "root", frames=False)
  build = ["build", "--root", tmp_path / "root", "--out", tmp_path / "out"]
  status, _, (line,) = command(*build)
  assert status == 2
  assert "CASME2-coding-updated.xlsx is there, but none of its 2 clips" in line
  assert "in CASME2_RAW_selected/sub01/EP02_01f or Cropped/sub01/EP02_01f" in line
  assert not (tmp_path / "out").exists()
  (folder / "CASME2-coding-updated.xlsx").unlink()
  status, _, (line,) = command(*build)
  assert status == 2
  assert "no annotation workbook; looked for CASME2-coding-updated.xlsx" in line
  assert "found no .xlsx file" in line


def test_workbook_of_an_unknown_revision(command, tmp_path):
  folder = write_casme2(tmp_path)
  book = folder / "CASME2-coding-updated.xlsx"
  book = book.rename(folder / "CASME2-coding-20300101.xlsx")
  status, said, lines = command("check", "--root", tmp_path)
  assert status == 1
  assert "  workbook CASME2-coding-20300101.xlsx, 2 rows" in said.splitlines()
  assert "20300101.xlsx is the only workbook there, so it is taken" in lines[0]
  write_workbook(folder / "notes.xlsx", [CASME2_HEADER])
  status, _, (line,) = command("check", "--root", tmp_path)
  assert status == 2
  assert "found CASME2-coding-20300101.xlsx, notes.xlsx; say which with" in line
  given = ["--workbook", f"casme2={book}"]
  status, said, lines = command("check", "--root", tmp_path, *given)
  assert status == 1
  assert "  workbook CASME2-coding-20300101.xlsx, 2 rows" in said.splitlines()
  for text, reason in (
    ("samm=a.xlsx", "holds no folder of SAMM"),
    (f"casme2={tmp_path}/none.xlsx", "no such file"),
    ("casme2", "expected KEY=FILE"),
  ):
    status, _, (line,) = command("check", "--root", tmp_path, "--workbook", text)
    assert status == 2
    assert reason in line


def test_crops_that_are_asked_for_and_not_there(command, tmp_path):
  write_casme2(tmp_path / "root")
  build = ["build", "--root", tmp_path / "root", "--out", tmp_path / "out"]
  status, table, (line,) = command(*build, "--cropped")
  assert status == 2
  assert "clips has cropped frames, which --cropped asks for" in line
  assert "not built" in row_of(table, "CASME II  ")


def test_folders_that_are_not_read_are_named(command, tmp_path):
  write_casme2(tmp_path / "root")
  (tmp_path / "root/CAS(ME)^2").mkdir()
  build = ["build", "--root", tmp_path / "root", "--out", tmp_path / "out"]
  for arguments in (["check", "--root", tmp_path / "root"], [*build, "--size", "64"]):
    _, _, lines = command(*arguments)
    assert "CAS(ME)^2 is none of the six databases; left alone" in lines[0]


@pytest.mark.parametrize("size", ["100", "0", "big"])
def test_size_that_no_network_takes(command, tmp_path, size):
  write_casme2(tmp_path)
  build = ["build", "--root", tmp_path, "--out", tmp_path / "out", "--size", size]
  status, _, (line,) = command(*build)
  assert status == 2
  assert f"--size {size}: expected a multiple of 16" in line


def test_inspect_draws_a_sheet(command, tmp_path):
  write_all(tmp_path / "root")
  (tmp_path / "root/SIMULATED.json").write_text('{"seed": 0}')
  build = ["build", "--root", tmp_path / "root", "--out", tmp_path / "out"]
  assert command(*build, "--size", 64, "--faces", "none")[0] == 0
  sheet = tmp_path / "new" / "sheet.png"
  status, said, _ = command("inspect", "--data", tmp_path / "out", "--out", sheet)
  assert status == 0
  assert "12 clips of 6 databases" in said
  image = cv2.imread(str(sheet))
  assert image.shape[1] == 5 * 176 + 300
  assert np.ptp(image) == 255
  status, _, (line,) = command("inspect", "--data", tmp_path / "new", "--out", sheet)
  assert status == 2
  assert "no records there" in line
  inspect = ["inspect", "--data", tmp_path / "out", "--out", sheet, "--clips", "0"]
  status, _, (line,) = command(*inspect)
  assert (status, line.split(":")[1]) == (2, " --clips 0")
  (tmp_path / "file").write_text("")
  inspect = ["inspect", "--data", tmp_path / "out", "--out", tmp_path / "file/a.png"]
  status, _, (line,) = command(*inspect)
  assert status == 2
  assert "cannot be written" in line
  inspect = ["inspect", "--data", tmp_path / "out", "--out", sheet]
  metadata = tmp_path / "out/casme/1.0.0/metadata.json"
  whole = metadata.read_text()
  for content, said in (("[", "casme"), ("{}", "its field 'simulated' is None")):
    metadata.write_text(content)
    status, _, (line,) = command(*inspect)
    assert (status, said in line) == (2, True)
  metadata.write_text(whole)
  (record,) = metadata.parent.glob("*array_record*")
  record.write_bytes(record.read_bytes()[:100])
  status, _, (line,) = command(*inspect)
  assert status == 2 and "these records cannot be read" in line


def test_help_is_quick_and_ctrl_c_is_one_line():
  code = """
import sys
from data_prep.__main__ import main
sys.argv = ["data_prep", "--help"]
try:
  main()
except SystemExit:
  pass
assert "jax" not in sys.modules and "tensorflow_datasets" not in sys.modules
"""
  done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
  assert (done.returncode, done.stderr) == (0, "")
  assert "python -m data_prep build --root DATABASES --out data" in done.stdout
  code = """
from data_prep import __main__ as commands
from infusenet_jax.runtime.errors import exit_with_one_line
def interrupted():
  raise KeyboardInterrupt
exit_with_one_line(interrupted)
"""
  done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
  assert done.returncode == 130
  assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("seconds", [0, 0.03, 0.5])  # While workers start, and after.
def test_sigterm_is_one_line_and_frees_the_folder(seconds, tmp_path):
  out = tmp_path / "out"
  simulate = [sys.executable, "-m", "data_prep", "simulate", "--out", str(out)]
  process = subprocess.Popen(simulate, stderr=subprocess.PIPE, text=True)
  while not (out / "SIMULATED.partial.json").exists():
    assert process.poll() is None
    time.sleep(0.01)
  time.sleep(seconds)
  process.send_signal(signal.SIGTERM)
  said = process.communicate(timeout=30)[1]
  assert process.returncode == 130
  # Behind a bar, if the signal came while that was drawn for the first time.
  line = "interrupted: what was finished is kept; run it again to go on\n"
  assert said.endswith(line)
  assert "Traceback" not in said
  with lock(out):
    pass


@pytest.mark.slow
def test_simulated_databases_enter_at_the_same_door(command, tmp_path):
  root, out = tmp_path / "root", tmp_path / "out"
  simulate = ["simulate", "--out", root, "--scale", "0.01", "--frames", "key"]
  assert command(*simulate)[0] == 0
  assert command("check", "--root", root)[::2] == (0, [])
  build = ["build", "--root", root, "--out", out, "--size", "64"]
  status, table, lines = command(*build)
  assert (status, lines) == (0, [])  # Every face was found, by its eyes.
  assert "not built" not in table
  assert command("inspect", "--data", out)[0] == 0
  assert (out / "contact-sheet.png").is_file()
  for metadata in out.glob("*/1.0.0/metadata.json"):
    metadata = json.loads(metadata.read_text())
    assert metadata["simulated"]
    assert metadata["source"]["scale"] == 0.01
