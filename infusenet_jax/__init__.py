"""InfuseNet in JAX: micro-expression action units from infused motion magnification.

Action units (AUs) of brief facial expressions, in anybody's video:

    import infusenet_jax

    report = infusenet_jax.analyse("interview.mp4")
    for interval in report.intervals:
        print(interval.onset_seconds, interval.probability)
    report.save("interview")  # intervals.csv, frames.csv, report.json, report.html

By the networks of an own run, and at onset, apex and offset that are known:

    networks = infusenet_jax.load_run("runs/cd6me")
    report = infusenet_jax.analyse(
        "frames", fps=200, networks=networks, intervals=[(5562, 5588, 5610)]
    )

Pieces, for own work:

    larger = infusenet_jax.magnify([onset, apex], amp=10)[1]  # (H, W, 3) uint8
    flow = infusenet_jax.optical_flow(first, second)  # (B, H, W, 2), pixels
    network = infusenet_jax.InfuseNet(12, rngs=flax.nnx.Rngs(0))
    scores = infusenet_jax.f1(labels, logits)  # (A,), as CD6ME scores

Names are imported when they are first used: JAX takes a second.
"""

import importlib

__version__ = "0.1.0"

_PLACES = {
  "analyse": "infusenet_jax.predict.analysis",
  "load_run": "infusenet_jax.predict.weights.networks",
  "magnify": "infusenet_jax.predict.magnify.frames",
  "optical_flow": "infusenet_jax.clips.flow.optical_flow",
  "InfuseNet": "infusenet_jax.models.infusenet",
  "f1": "infusenet_jax.evaluate.protocol",
}
__all__ = [*_PLACES]


def __getattr__(name: str):
  if name not in _PLACES:
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
  globals()[name] = getattr(importlib.import_module(_PLACES[name]), name)
  return globals()[name]


def __dir__() -> list[str]:
  return sorted({*globals(), *_PLACES})
