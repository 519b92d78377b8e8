import errno
import os

import pytest

from infusenet_jax.runtime.errors import UserError
from infusenet_jax.runtime.files import write_atomically


def test_the_file_holds_the_text_as_it_is(tmp_path):
  write_atomically(tmp_path / "table.csv", "± 1\r\nAU\n")
  assert (tmp_path / "table.csv").read_bytes() == b"\xc2\xb1 1\r\nAU\n"
  assert len(list(tmp_path.iterdir())) == 1


def test_a_failed_write_keeps_the_old_file(tmp_path, monkeypatch):
  path = tmp_path / "results.json"
  write_atomically(path, "old")

  def fail(*_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

  monkeypatch.setattr(os, "replace", fail)
  with pytest.raises(UserError, match=r"results\.json: .*No space left.*make room"):
    write_atomically(path, "new")
  assert path.read_text() == "old"
  assert len(list(tmp_path.iterdir())) == 1
