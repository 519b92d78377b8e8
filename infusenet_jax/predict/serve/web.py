"""The server's answers: the page, and the files of videos that it shows."""

import io
import zipfile
from collections.abc import Sequence
from urllib.parse import quote

import fastapi
import gradio
from fastapi.responses import FileResponse, Response

from infusenet_jax.predict.serve.desk import Desk, Video
from infusenet_jax.predict.serve.page import build_page
from infusenet_jax.predict.serve.task import Weights
from infusenet_jax.predict.serve.words import TEMPLATES
from infusenet_jax.predict.show import outputs

MOST_BYTES = 4_000_000_000  # Of one video.
ALL = "all.zip"
# The report may run its own script, and may not reach anything of this server.
_SANDBOX = {
  "content-security-policy": "sandbox allow-scripts; default-src 'none';"
  " script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:;"
  " frame-ancestors 'self'"
}
_COLOURS = {"primary_hue": "teal", "secondary_hue": "teal", "neutral_hue": "slate"}


def build_app(desk: Desk, weights: Sequence[Weights]) -> fastapi.FastAPI:
  """An application that shows the page, and knows nothing of who may see it."""
  app = fastapi.FastAPI(docs_url=None, redoc_url=None, openapi_url=None)

  @app.get("/videos/{number}/{version}/{name}")
  def fetch(number: int, version: int, name: str) -> Response:
    video = desk.video(number)
    if video is None or name not in (*video.files, ALL) or not video.files:
      raise fastapi.HTTPException(404, "no such file; the video may be removed")
    if name == ALL:
      return Response(
        _packed(video), 200, _attached(f"{video.name}.zip"), "application/zip"
      )
    path = video.task.out / name
    if name == outputs.PAGE:
      return FileResponse(path, headers=_SANDBOX)
    if name == outputs.MOVIE:
      return FileResponse(path)
    return FileResponse(path, filename=f"{video.name}.{name}")

  return gradio.mount_gradio_app(
    app,
    build_page(desk, weights),
    path="/",
    footer_links=[],
    run_history=False,
    show_error=False,
    max_file_size=MOST_BYTES,
    ssr_mode=False,
    pwa=False,
    mcp_server=False,
    enable_monitoring=False,
    theme=gradio.themes.Base(
      font=["system-ui", "sans-serif"],
      font_mono=["ui-monospace", "monospace"],
      **_COLOURS,
    ).set(
      button_primary_background_fill="*primary_700",
      button_primary_background_fill_hover="*primary_600",
      button_primary_text_color="white",
    ),
    css=TEMPLATES.get_template("page.css").render(),
  )


def _packed(video: Video) -> bytes:
  content = io.BytesIO()
  with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
    for name in video.files:
      archive.write(video.task.out / name, f"{video.name}/{name}")
  return content.getvalue()


def _attached(name: str) -> dict[str, str]:
  return {"content-disposition": f"attachment; filename*=utf-8''{quote(name, safe='')}"}
