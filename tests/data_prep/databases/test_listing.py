"""What is listed of a folder, and how deep it is searched."""

from data_prep.databases.listing import folders_below


def test_folders_of_subjects_and_clips_are_not_searched(tmp_path):
  """Else thousands of folders of frames would be listed to find a workbook."""
  names = ("sub01", "Sub-1", "spNO.1", "spNo.1_a_355", "S08", "S01-01-001", "006")
  for name in (*names, "006_1_2", "4DME", "SAMM_v2", "part_A/annotation", "skipped/x"):
    (tmp_path / name / "inner").mkdir(parents=True)
  found = folders_below(tmp_path, 2, lambda name: name == "skipped")
  assert [path.relative_to(tmp_path).as_posix() for path in found] == [
    *(".", "4DME", "SAMM_v2", "part_A"),
    *("4DME/inner", "SAMM_v2/inner", "part_A/annotation"),
  ]
