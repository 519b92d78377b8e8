"""Who is answered, and who is not."""

import asyncio
import base64

import pytest

from infusenet_jax.predict.serve import guard
from infusenet_jax.predict.serve.guard import Guard, is_loopback


async def hello(scope, receive, send):
  if scope["type"] == "lifespan":
    return
  await send({"type": "http.response.start", "status": 200, "headers": []})
  await send({"type": "http.response.body", "body": b"hello"})


def ask(app, kind="http", method="GET", **headers):
  """The status of the answer, and its headers."""
  sent = []

  async def send(message):
    sent.append(message)

  pairs = [(name.replace("_", "-").encode(), v.encode()) for name, v in headers.items()]
  scope = {"type": kind, "method": method, "headers": pairs}
  asyncio.run(app(scope, None, send))
  if kind == "websocket":
    return sent[0]
  return sent[0]["status"], {k.decode(): v.decode() for k, v in sent[0]["headers"]}


@pytest.mark.parametrize(
  ("host", "so"),
  [
    ("127.0.0.1", True),
    ("127.8.8.8", True),
    ("localhost", True),
    ("::1", True),
    ("0.0.0.0", False),
    ("::", False),
    ("192.168.1.2", False),
    ("localhost.evil.org", False),
  ],
)
def test_loopback(host, so):
  assert is_loopback(host) is so


def test_only_by_this_computers_own_name():
  app = Guard(hello, "127.0.0.1")
  for host in ("127.0.0.1:7860", "localhost:7860", "[::1]:7860", "127.0.0.1"):
    assert ask(app, host=host)[0] == 200
  for host in ("evil.org", "evil.org:7860", "127.0.0.1.evil.org", "", "[::1"):
    assert ask(app, host=host)[0] == 421


def test_no_other_page_may_send():
  app = Guard(hello, "127.0.0.1")
  ours = {"host": "127.0.0.1:7860", "origin": "http://127.0.0.1:7860"}
  assert ask(app, method="POST", **ours)[0] == 200
  for origin in ("http://evil.org", "null", "http://127.0.0.1:8000"):
    theirs = ours | {"origin": origin}
    assert ask(app, method="POST", **theirs)[0] == 403
    assert ask(app, "websocket", **theirs)["type"] == "websocket.close"


def test_the_password(monkeypatch):
  monkeypatch.setattr(guard, "_PAUSE", 0)
  app = Guard(hello, "0.0.0.0", "lang genug ß")
  status, headers = ask(app, host="somewhere:80")
  assert status == 401 and headers["www-authenticate"].startswith("Basic")

  def basic(word):
    return "Basic " + base64.b64encode(f"any:{word}".encode()).decode()

  assert ask(app, host="somewhere", authorization=basic("lang genug ß"))[0] == 200
  for wrong in (basic("lang genug"), basic(""), "Basic ???", "Bearer x", "Basic"):
    assert ask(app, host="somewhere", authorization=wrong)[0] == 401


def test_answers_forbid_what_comes_from_elsewhere():
  _, headers = ask(Guard(hello, "127.0.0.1"), host="127.0.0.1")
  policy = headers["content-security-policy"]
  assert "default-src 'self'" in policy and "http" not in policy
  assert headers["cache-control"] == "no-store"
