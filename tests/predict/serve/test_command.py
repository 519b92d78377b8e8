"""The server starts where it may, and takes its files along when it ends."""

import importlib.util
import os
import socket
import tempfile

import pytest

from infusenet_jax.predict.serve import command
from infusenet_jax.predict.weights.networks import SHIPPED
from infusenet_jax.runtime.errors import UserError
from infusenet_jax.runtime.files import lock


@pytest.fixture(autouse=True)
def no_password(monkeypatch):
  monkeypatch.delenv(command.PASSWORD, raising=False)


@pytest.mark.parametrize(
  ("flags", "reason"),
  [
    (
      ["--host", "0.0.0.0"],
      r"--host 0\.0\.0\.0: others could reach it.*INFUSENET_PASS",
    ),
    (["--host", "192.168.0.7"], "give a password"),
    (
      ["--host", "0.0.0.0", "--password", "short"],
      "has 5 letters, expected at least 8",
    ),
    (["--password", "short"], "has 5 letters"),
  ],
)
def test_who_may_come_in(flags, reason):
  with pytest.raises(UserError, match=reason) as refusal:
    command.main(flags)
  assert "\n" not in str(refusal.value)


def test_the_password_may_be_in_the_environment(monkeypatch):
  monkeypatch.setenv(command.PASSWORD, "long enough")
  options = command._parser().parse_args(["--host", "0.0.0.0"])
  assert command._password(options) == "long enough"


def test_without_gradio_it_is_said_what_to_install(monkeypatch):
  find = importlib.util.find_spec
  without = lambda name, *_: None if name == "gradio" else find(name)  # noqa: E731
  monkeypatch.setattr(importlib.util, "find_spec", without)
  with pytest.raises(UserError, match=r"gradio.*pip install \"infusenet-jax\[app\]\""):
    command.main([])


def test_a_port_that_is_taken():
  with socket.create_server(("127.0.0.1", 0)) as other:
    port = other.getsockname()[1]
    with pytest.raises(UserError, match=rf"--port {port}: cannot listen there"):
      command._listen("127.0.0.1", port)
  with pytest.raises(UserError, match="--port 70000: expected a number"):
    command._listen("127.0.0.1", 70000)


def test_files_go_with_the_server(tmp_path, monkeypatch):
  monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
  for name in ("infusenet-serve-dead", "infusenet-serve-alive", "others"):
    (tmp_path / name).mkdir()
    (tmp_path / name / "video.mp4").write_bytes(b"film")
    os.utime(tmp_path / name, (0, 0))
  with lock(tmp_path / "infusenet-serve-alive"):
    os.utime(tmp_path / "infusenet-serve-alive", (0, 0))
    with command._folder() as folder:
      assert tempfile.gettempdir() == str(folder)
      (folder / "video.mp4").write_bytes(b"film")
      there = {path.name for path in tmp_path.iterdir()}
      assert there == {"infusenet-serve-alive", "others", folder.name}
  left = {path.name for path in tmp_path.iterdir()}
  assert left == {"infusenet-serve-alive", "others"}
  assert tempfile.gettempdir() == str(tmp_path)


def test_addresses():
  assert command._address("127.0.0.1", 7860) == "http://127.0.0.1:7860/"
  assert command._address("::1", 1) == "http://[::1]:1/"
  assert command._address("0.0.0.0", 1) == f"http://{socket.gethostname()}:1/"


def test_weights_that_can_be_chosen(tmp_path):
  own, shipped = command._weights([SHIPPED])
  assert (own.name, own.run, own.simulated) == (str(SHIPPED), SHIPPED, True)
  assert shipped == (command.SHIPPED, None, True)
  with pytest.raises(UserError, match="--run takes a workdir"):
    command._weights([tmp_path])
