"""Who may ask the server for what: this computer, or whoever knows the password."""

import asyncio
import base64
import binascii
import hmac
import ipaddress
from urllib.parse import urlsplit

# Pages load nothing from elsewhere, and nobody else's page may show them. Gradio runs
# scripts within its page and compiles templates.
POLICY = "; ".join(
  (
    "default-src 'self'",
    "script-src 'self' 'unsafe-inline' 'unsafe-eval'",
    "style-src 'self' 'unsafe-inline'",
    "img-src 'self' data: blob:",
    "font-src 'self' data:",
    "media-src 'self' blob:",
    "worker-src 'self' blob:",
    "connect-src 'self'",
    "object-src 'none'",
    "base-uri 'self'",
    "form-action 'self'",
    "frame-ancestors 'self'",
  )
)
_HEADERS = {
  "content-security-policy": POLICY,
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
  "cache-control": "no-store",
}
_SAFE = ("GET", "HEAD", "OPTIONS")
_PAUSE = 1.0  # Seconds that a wrong password takes.


def is_loopback(host: str) -> bool:
  """Whether only programs on this computer can reach a server that listens there."""
  try:
    return ipaddress.ip_address(host.strip("[]")).is_loopback
  except ValueError:
    return host.lower() == "localhost"


class Guard:
  """An ASGI application that lets another one answer only who may ask.

  Refused are: hosts' names other than this computer's own where no password is asked,
  with which pages elsewhere could make a browser read what is here (DNS rebinding);
  what other pages send; and, where there is a password, whoever does not know it.
  """

  def __init__(self, app, host: str, password: str | None = None):
    """Guards `app`, which listens at `host`."""
    self._app, self._password = app, password
    self._host = host.strip("[]").lower()

  async def __call__(self, scope, receive, send) -> None:
    if scope["type"] not in ("http", "websocket"):
      await self._app(scope, receive, send)
      return
    headers = {name.lower(): value for name, value in scope["headers"]}
    if not self._knows_us(headers):
      await _refuse(scope, send, 421, "this server has another name")
    elif not _of_our_page(scope, headers):
      await _refuse(scope, send, 403, "other pages may not ask for this")
    elif not self._may_come_in(headers):
      await asyncio.sleep(_PAUSE if b"authorization" in headers else 0)
      await _refuse(scope, send, 401, "the password, please; any name will do")
    else:
      await self._app(scope, receive, _with_headers(send))

  def _knows_us(self, headers: dict[bytes, bytes]) -> bool:
    if self._password is not None:
      return True
    try:
      host = urlsplit(f"//{headers.get(b'host', b'').decode('latin-1')}").hostname or ""
    except ValueError:
      return False
    return host == self._host or is_loopback(host)

  def _may_come_in(self, headers: dict[bytes, bytes]) -> bool:
    if self._password is None:
      return True
    kind, _, given = headers.get(b"authorization", b"").partition(b" ")
    try:
      _, _, password = base64.b64decode(given, validate=True).partition(b":")
    except binascii.Error:
      return False
    same = hmac.compare_digest(password, self._password.encode())
    return kind.lower() == b"basic" and same


def _of_our_page(scope, headers: dict[bytes, bytes]) -> bool:
  """Whether a request that changes something comes from a page of ours."""
  if scope["type"] == "http" and scope["method"] in _SAFE:
    return True
  origin = headers.get(b"origin")
  return origin is None or origin.partition(b"://")[2] == headers.get(b"host")


def _with_headers(send):
  async def sending(message) -> None:
    if message["type"] == "http.response.start":
      known = [(name.lower(), value) for name, value in message.get("headers", ())]
      there = {name for name, _ in known}
      known += [
        (name.encode(), value.encode())
        for name, value in _HEADERS.items()
        if name.encode() not in there
      ]
      message = {**message, "headers": known}
    await send(message)

  return sending


async def _refuse(scope, send, status: int, words: str) -> None:
  if scope["type"] == "websocket":
    await send({"type": "websocket.close", "code": 1008})
    return
  headers = [(b"content-type", b"text/plain; charset=utf-8")]
  if status == 401:
    headers.append((b"www-authenticate", b'Basic realm="infusenet_jax"'))
  await send({"type": "http.response.start", "status": status, "headers": headers})
  await send({"type": "http.response.body", "body": words.encode() + b"\n"})
