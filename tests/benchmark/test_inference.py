"""What finished runs cost in use."""

import pytest

from infusenet_jax.benchmark import inference
from infusenet_jax.runtime.errors import UserError
from tests.predict.runs import small_config, train


@pytest.mark.slow
def test_runs_are_counted_timed_and_put_side_by_side(tmp_path, capsys):
  for name, folds in (("six", "all"), ("one", "samm")):
    train(small_config(folds=folds), tmp_path / name)
  runs = [str(tmp_path / name) for name in ("six", "one")]
  out = tmp_path / "inference.md"
  inference.main([*runs, "--repeats=2", f"--out={out}"])
  said = capsys.readouterr().out
  assert said == out.read_text() and "(simulated data)" in said.splitlines()[0]
  rows = [
    line.split("|")[1:-1] for line in said.splitlines() if line[:3] in ("| s", "| o")
  ]
  (six, one) = ([cell.strip() for cell in row] for row in rows)
  # Three convolutions 3 x 3 with bias, batch statistics' scale and shift, one layer.
  parameters = sum(3 * 9 * n + 3 * n for n in (3, 5, 8)) + 400 * 12 + 12
  assert six[:3] == ["six", "ststnet", f"{parameters:,}"]
  assert float(six[3]) > 0 and float(six[5]) > 0 and float(six[6]) >= 0
  assert one[5:] == ["-", "-"]  # No other database to fit on.


def test_two_runs_of_one_name_are_refused(tmp_path):
  runs = [train(small_config(folds="samm"), tmp_path / x / "run") for x in "ab"]
  with pytest.raises(UserError, match="two runs are called run; rename"):
    inference.main(list(map(str, runs)))
