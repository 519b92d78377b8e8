"""What was measured on an accelerator, as the tables of docs/performance.md."""

import itertools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from infusenet_jax.runtime.text import duration, markdown_table

Part = Mapping[str, Any]

# Goals on one H100, by what is measured: least or most that will do.
GOALS = {
  "whole CD6ME, one seed, minutes": ("most", 15),
  "train step, share of the roofline": ("least", 0.5),
  "PyTorch as published, times ours": ("least", 3),
  "PyTorch compiled with autocast, times ours": ("least", 1),
}


def markdown(parts: Mapping[str, Part]) -> str:
  """All parts that there are, one section each, and what of the goals is reached."""
  first = next(iter(parts.values()))["machine"]
  versions = ", ".join(
    f"{name} {first['versions'][name]}"
    for name in ("jax", "flax", "torch", "python")
    if name in first["versions"]
  )
  lines = [f"Device: {first['count']} x {first['device']}; {versions}."]
  if any(part["tiny"] for part in parts.values()):
    lines.append("**Tiny sizes, for trying: these numbers say nothing about speed.**")
  sections: dict[str, Callable[[Part], str]] = {
    "parity": _parity,
    "precision": _precision,
    "steps_bfloat16": _steps,
    "steps_float32": _steps,
    "peers": _peers,
    "flow": _flow,
    "latents": _latents,
    "epoch": _epoch,
  }
  lines += [sections[name](part) for name, part in parts.items()]
  reached = _reached(parts)
  if reached:
    lines.append(markdown_table([("goal", "wanted", "found", ""), *reached]))
  return "\n\n".join(lines) + "\n"


def _parity(part: Part) -> str:
  names = list(part["published"][0])[2:]
  errors = [("relative error beside the authors' network", *names)]
  errors += [
    (f"{row['pixels']} px", *(f"{row[name]:.1e}" for name in names))
    for row in part["published"]
  ]
  half = part["bfloat16"]
  return "\n\n".join(
    (
      markdown_table(
        [tuple(name.replace("_", " ") for name in errors[0]), *errors[1:]]
      ),
      f"bfloat16 beside float32: logits differ by {half['largest_difference']:.2g} at"
      f" most, the largest is {half['largest_logit']:.2g}.",
      _losses(part["losses"]),
    )
  )


def _losses(losses: Mapping[str, list[float]]) -> str:
  """Mean losses over five stretches of the updates, and how far from the first way."""
  base = np.array(next(iter(losses.values())))
  edges = np.linspace(0, len(base), min(5, len(base)) + 1).astype(int)
  stretches = list(itertools.pairwise(edges))
  rows = [("loss, mean of updates", *(f"{a + 1} to {b}" for a, b in stretches))]
  rows += [
    (way, *(f"{np.mean(values[a:b]):.4f}" for a, b in stretches))
    for way, values in losses.items()
  ]
  return markdown_table(rows)


def _precision(part: Part) -> str:
  ways = {name: p for name, p in part.items() if name not in ("machine", "tiny")}
  rows = [("products by", "channels", "norm of A", "largest of Q'Q - I", "us")]
  for name, way in ways.items():
    for row in way.get("rotations", ()):
      error, microseconds = f"{row['error']:.1e}", f"{1e6 * row['seconds']:.0f}"
      rows.append((name, row["channels"], f"{row['norm']:g}", error, microseconds))
  missing = [
    f"{name}: not to be had here ({way['missing']})."
    for name, way in ways.items()
    if "missing" in way
  ]
  losses = {name: way["losses"] for name, way in ways.items() if "losses" in way}
  return "\n\n".join((markdown_table(rows), *missing, _losses(losses)))


def _steps(part: Part) -> str:
  rows = [
    (
      *(f"step, {part['dtype']}", "batch", "ms", "quartiles", "of roofline"),
      *("memory GB", "kernels", "device waits"),
    )
  ]
  for batch in part["batches"]:
    if "missing" in batch:
      rows.append(("none", batch["batch_size"], batch["missing"], *[""] * 5))
      continue
    for name, step in batch["steps"].items():
      timing, kernels = step["timing"], batch["kernels"] if name == "train" else None
      rows.append(
        (
          *(name, batch["batch_size"], f"{1e3 * timing['median']:.2f}"),
          f"{1e3 * timing['low']:.2f} to {1e3 * timing['high']:.2f}",
          f"{step['roofline_share']:.0%}",
          f"{step['memory'] / 1e9:.2f}",
          f"{kernels['count']:.0f}" if kernels else "",
          f"{kernels['idle']:.0%}" if kernels else "",
        )
      )
  ceilings = part["ceilings"]
  return (
    f"{markdown_table(rows)}\n\nCeilings in {part['dtype']}:"
    f" {ceilings['flops'] / 1e12:.3g} TFLOP/s, {ceilings['bandwidth'] / 1e9:,.0f} GB/s."
  )


def _peers(part: Part) -> str:
  rows = [(f"a step of batch {part['batch_size']}, in epochs", "ms", "times ours")]
  rows += [
    (name, f"{1e3 * found['step_seconds']:.2f}", f"{found['times_ours']:.2f}")
    for name, found in part["epochs"].items()
  ]
  return markdown_table(rows)


def _flow(part: Part) -> str:
  rows = [(f"flow of pairs of {part['pixels']} px, at once", "ms", "pairs a second")]
  rows += [
    (row["pairs"], f"{1e3 * row['median']:.2f}", f"{row['each_second']:.0f}")
    for row in part["batches"]
  ]
  return markdown_table(rows)


def _latents(part: Part) -> str:
  return (
    f"Latents of {part['clips']:,} clips: {part['seconds']:.1f} s, and"
    f" {part['first_seconds']:.1f} s with compiling."
  )


def _epoch(part: Part) -> str:
  runs = "; ".join(
    f"{run['seeds']} seed{'s' * (run['seeds'] > 1)} {duration(run['total'])}"
    for run in part["runs"]
  )
  waits = part["kernels"]
  return (
    f"An epoch of one fold ({part['clips']:,} clips, {part['steps']} steps):"
    f" {part['epoch']['median']:.2f} s, {1e3 * part['step_seconds']:.2f} ms a step"
    + (f", the device waits {waits['idle']:.0%} of it" if waits else "")
    + f". By that the whole protocol takes: {runs} (compiling and preparing data left"
    " out)."
  )


def _reached(parts: Mapping[str, Part]) -> list[tuple[str, ...]]:
  found: dict[str, float] = {}
  if "epoch" in parts:
    found["whole CD6ME, one seed, minutes"] = parts["epoch"]["runs"][0]["total"] / 60
  batches = parts.get("steps_bfloat16", {}).get("batches", [{}])
  if "steps" in batches[0]:
    share = batches[0]["steps"]["train"]["roofline_share"]
    found["train step, share of the roofline"] = share
  for name, epoch in parts.get("peers", {}).get("epochs", {}).items():
    if name.startswith("PyTorch as published, torch.compile"):
      found["PyTorch compiled with autocast, times ours"] = epoch["times_ours"]
    elif name.startswith("PyTorch as published"):
      found["PyTorch as published, times ours"] = epoch["times_ours"]
  rows = []
  for name, value in found.items():
    which, bound = GOALS[name]
    kept = value <= bound if which == "most" else value >= bound
    reached = "reached" if kept else "missed"
    rows.append((name, f"at {which} {bound:g}", f"{value:.3g}", reached))
  return rows
