"""The files say what was found, and say it in a form that Excel and R read."""

import csv
import dataclasses
import json

import numpy as np
import pytest

from infusenet_jax.clips.labels import AUS
from infusenet_jax.predict.findings import (
  REGIONS,
  SIMULATED_WEIGHTS,
  Frames,
  Interval,
  Report,
)
from infusenet_jax.predict.show import outputs
from infusenet_jax.runtime.errors import UserError


def make_report(source="smile.mp4", **fields) -> Report:
  nan = float("nan")
  frames = Frames(
    number=np.arange(3),
    seconds=np.array([0, 0.02, 0.04]),
    success=np.array([True, False, True]),
    confidence=np.array([0.99, nan, 0.98]),
    box=np.array([[10, 20, 60, 70], [nan] * 4, [11, 20, 60, 70]]),
    eyes=np.array([[[20, 40], [50, 41]], [[nan] * 2] * 2, [[21, 40], [51, 41]]]),
    motion=np.array([[0.5] * 13, [nan] * 13, [1.5] * 13]),
  )
  probability = np.linspace(0, 1, 12)
  interval = Interval(
    kind="expression",
    onset=0,
    apex=2,
    offset=2,
    onset_seconds=0.0,
    apex_seconds=0.04,
    offset_seconds=0.04,
    probability=probability,
    decision=probability > 0.5,
    motion_px=0.75,
    motion_percent=2.5,
    notes=("face small", "low frame rate"),
  )
  blind = dataclasses.replace(
    interval, probability=np.full(12, nan), decision=np.zeros(12, bool), motion_px=nan
  )
  given = {"model": {"name": "run", "simulated": True}, "notes": ("a note",)}
  return Report(source, 0, frames, [interval, blind], **given | fields)


def table(path):
  with open(path, newline="", encoding="utf-8-sig") as file:
    return list(csv.DictReader(file))


def test_intervals_csv(tmp_path):
  make_report().save(tmp_path / "new" / "folder")
  seen, blind = table(tmp_path / "new" / "folder" / "intervals.csv")
  assert list(seen) == list(outputs.INTERVAL_COLUMNS)
  assert (seen["file"], seen["face"], seen["kind"]) == ("smile.mp4", "0", "expression")
  assert [seen[name] for name in ("onset", "apex", "offset")] == ["0", "2", "2"]
  assert float(seen["apex_seconds"]) == 0.04
  assert [float(seen[f"AU{au:02d}"]) for au in AUS] == pytest.approx(
    np.linspace(0, 1, 12), abs=5e-5
  )
  assert [seen[f"AU{au:02d}_c"] for au in AUS] == ["0"] * 6 + ["1"] * 6
  assert (seen["motion_px"], seen["motion_percent"]) == ("0.750", "2.500")
  assert seen["notes"] == "face small; low frame rate"
  assert blind["AU01"] == blind["AU01_c"] == blind["motion_px"] == ""


def test_frames_csv_is_empty_where_there_is_no_face(tmp_path):
  make_report().save(tmp_path)
  first, lost, last = table(tmp_path / "frames.csv")
  assert list(first) == list(outputs.FRAME_COLUMNS)
  assert (first["frame"], first["timestamp"], first["success"]) == (
    "0",
    "0.000000",
    "1",
  )
  assert first["FaceRectWidth"] == "60.00" and first["eye_right_y"] == "41.00"
  assert all(last[f"motion_{region}"] == "1.5000" for region in REGIONS)
  assert (lost["frame"], lost["timestamp"], lost["success"]) == ("1", "0.020000", "0")
  assert not any(list(lost.values())[3:])


def test_report_json_holds_everything(tmp_path):
  report = make_report(
    settings={"face": 0, "odd": np.float32(0.5)}, versions={"a": "1"}
  )
  report.save(tmp_path)
  found = json.loads((tmp_path / "report.json").read_text())
  assert found["weights"] == SIMULATED_WEIGHTS
  assert found["finished"] is True and found["notes"] == ["a note"]
  assert found["settings"] == {"face": 0, "odd": 0.5}
  assert found["aus"]["AU04"] == "brow lowerer"
  assert found["intervals"][0]["probability"]["AU17"] == 1
  assert found["intervals"][1]["probability"]["AU17"] is None
  assert found["frames"]["confidence"] == [0.99, None, 0.98]
  assert found["frames"]["success"] == [True, False, True]


def test_outputs_of_simulated_weights_say_so(tmp_path):
  make_report().save(tmp_path / "a")
  make_report(model={"name": "cd6me", "simulated": False}).save(tmp_path / "b")
  for name in ("intervals.csv", "report.json"):
    assert SIMULATED_WEIGHTS in (tmp_path / "a" / name).read_text()
    assert SIMULATED_WEIGHTS not in (tmp_path / "b" / name).read_text()
  assert table(tmp_path / "b" / "intervals.csv")[0]["weights"] == "cd6me"


def test_only_other_letters_than_ascii_need_a_mark(tmp_path):
  """R's read.csv would take it for a part of the first column's name."""
  make_report().save(tmp_path / "a")
  make_report("Müller – 表情.mp4").save(tmp_path / "b")
  assert (tmp_path / "a/intervals.csv").read_bytes().startswith(b"file,")
  assert (tmp_path / "b/intervals.csv").read_bytes().startswith(b"\xef\xbb\xbffile,")
  assert table(tmp_path / "b/intervals.csv")[0]["file"] == "Müller – 表情.mp4"


def test_a_file_name_is_no_formula(tmp_path):
  make_report("=cmd|'x'.mp4").save(tmp_path)
  assert table(tmp_path / "intervals.csv")[0]["file"] == "'=cmd|'x'.mp4"


def test_a_persons_changes_are_not_written_over(tmp_path):
  make_report().save(tmp_path)
  make_report().save(tmp_path)
  path = tmp_path / "intervals.csv"
  path.write_text(path.read_text().replace("0,2,2", "1,2,2"))
  with pytest.raises(UserError, match="was changed by hand and is not written over"):
    make_report().save(tmp_path)
  assert "1,2,2" in path.read_text()


def test_a_folder_that_cannot_be_made(tmp_path):
  (tmp_path / "file").write_text("")
  with pytest.raises(UserError, match="file/inner: cannot be made"):
    make_report().save(tmp_path / "file" / "inner")


def test_every_column_is_explained():
  text = (outputs_document()).read_text(encoding="utf-8")
  for name in (*outputs.INTERVAL_COLUMNS, *outputs.FRAME_COLUMNS):
    if name.startswith("AU"):
      name = "AU01_c" if name.endswith("_c") else "AU01"
    assert f"`{name}`" in text, name


def outputs_document():
  from tests.test_architecture import ROOT

  return ROOT / "docs" / "outputs.md"
