"""Packs trained networks into one file, with their calibration and a card.

    python -m infusenet_jax.predict.weights.pack --run runs/shipped \\
      --calibration-run runs/shipped-twin --out infusenet_jax/predict/weights

Writes OUT/NAME.safetensors and the card, OUT/NAME.md; NAME is the config's. The
calibration run is the same network with databases left out, whose predictions of those
the probabilities are calibrated by; without one the run's own are taken, if it left
something out. `python -m infusenet_jax.predict --run FILE` uses the file.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from infusenet_jax.clips.labels import AUS
from infusenet_jax.evaluate.calibration import Calibration, summary
from infusenet_jax.evaluate.documents import SIMULATED, markdown_text
from infusenet_jax.evaluate.scores import cd6me_tables
from infusenet_jax.predict.weights.networks import Networks, load_run
from infusenet_jax.predict.weights.packed import write_packed
from infusenet_jax.runtime.errors import UserError, exit_with_one_line
from infusenet_jax.runtime.files import write_atomically
from infusenet_jax.runtime.text import markdown_table
from infusenet_jax.runtime.workdir import versions
from infusenet_jax.training.trained import TrainedRun, open_run

MOST_BYTES = 12_000_000


def pack(run: Path, calibration_run: Path | None, out: Path) -> Path:
  """Writes the file and its card; returns the file's path.

  Raises:
    UserError: no such runs, runs of two networks, or a file above `MOST_BYTES`.
  """
  trained = open_run(run)
  twin = trained
  if calibration_run is not None:
    twin = open_run(calibration_run, "--calibration-run")
  if twin.predictions is None:
    raise UserError(
      f"{twin.workdir}: left nothing out, so there is nothing to calibrate by; name "
      "the same network trained with config.protocol='cd6me' as --calibration-run"
    )
  networks = load_run(run, calibrated_by=calibration_run)
  measured = {
    "calibration": summary(twin.predictions),
    "f1": f1_averages(twin),
    "clips": len(twin.predictions) // len({seed for seed, _ in twin.members}),
  }
  card = networks.card | {"measured": measured, "versions": versions()}
  out.mkdir(parents=True, exist_ok=True)
  path = out / f"{card['config']}.safetensors"
  size = write_packed(
    path,
    config=networks.config,
    members=networks.members,
    weights=[own for own, _ in networks.weights],
    made=networks.made,
    calibration=networks.calibration,
    card=card,
  )
  if size > MOST_BYTES:
    path.unlink()
    raise UserError(
      f"{path}: would have {size / 1e6:.1f} MB, expected at most {MOST_BYTES / 1e6:g}; "
      "train a narrower network (config.model.width) or fewer seeds"
    )
  write_atomically(path.with_suffix(".md"), card_text(networks, card, path.name, size))
  return path


def f1_averages(twin: TrainedRun) -> dict[str, float]:
  """Binary F1 in percent: the averages of the AU table and of the database table."""
  tables = cd6me_tables(twin.predictions)
  return {
    "au": round(100 * float(tables.au["binary"].mean[-1]), 1),
    "database": round(100 * float(tables.database["binary"].mean[-1]), 1),
  }


def card_text(networks: Networks, card: dict, name: str, size: int) -> str:
  """The card in Markdown: what it is, how it was made, how well it does."""
  simulated = card["simulated"]
  data = f" ({SIMULATED})" if simulated else ""
  measured, config = card["measured"], networks.config
  errors = measured["calibration"]
  calibration: Calibration = networks.calibration
  by_au = [["AU", "temperature", "bias"]]
  for au, temperature, bias in zip(
    AUS, calibration.temperature, calibration.bias, strict=True
  ):
    by_au.append([f"AU{au}", f"{temperature:.2f}", f"{bias:+.2f}"])
  if simulated:
    drawn = ", ".join(
      f"{name} {config.simulated[name]}"
      for name in ("scale", "seed", "labels", "nuisance")
    )
    origin = [
      "**Trained on simulated faces: for trying out, not for conclusions.**",
      "These weights saw no picture of a real person: every clip was drawn by",
      f"`python -m data_prep simulate` ({drawn}).",
      "Like the code that made them, they are licensed under Apache-2.0.",
    ]
  else:
    origin = [
      "Trained on licensed clips: the databases' licences say who may have these",
      "weights, and for what.",
    ]
  lines = [
    f"# {markdown_text(card['config'])}{data}",
    "",
    *origin,
    "",
    f"* File: {name}, {size / 1e6:.1f} MB, kernels in float16",
    f"* Network: {card['model']}, {config.image_size} px, width {config.model.width}; "
    f"{card['networks']} of protocol {card['protocol']}; seed "
    f"{', '.join(map(str, card['seeds']))}",
    f"* Databases: {', '.join(map(markdown_text, card['databases']))}{data}",
    f"* F1{data}, percent, of the same network with the tested database left out, "
    f"{measured['clips']} clips: {measured['f1']['au']} (AU average), "
    f"{measured['f1']['database']} (database average)",
    f"* Expected calibration error{data}, percent, with the tested database left out "
    f"of the fit: {100 * errors['before']['error']:.1f} before, "
    f"{100 * errors['after']['error']:.1f} after; log loss "
    f"{errors['before']['log_loss']:.3f} and {errors['after']['log_loss']:.3f}",
    "",
    f"## Calibration{data}",
    "",
    "The probability of an AU is sigmoid(logit / temperature + bias).",
    "",
    markdown_table(by_au),
    "",
    f"## Versions{data}",
    "",
    *(f"* {package} {version}" for package, version in card["versions"].items()),
    "",
  ]
  return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
  """The command; `python -m infusenet_jax.predict.weights.pack --help` explains it."""
  parser = argparse.ArgumentParser(
    prog="python -m infusenet_jax.predict.weights.pack",
    description="Packs the networks of a run into one file, calibrated, with a card.",
  )
  parser.add_argument("--run", type=Path, required=True, help="of the networks")
  parser.add_argument(
    "--calibration-run",
    type=Path,
    metavar="RUN",
    help="the same network with databases left out (default: the run itself)",
  )
  parser.add_argument("--out", type=Path, required=True, metavar="DIR")
  options = parser.parse_args(arguments)
  try:
    path = pack(options.run, options.calibration_run, options.out)
  except OSError as error:
    raise UserError(
      f"--out {options.out}: cannot be written ({error.strerror}); name another"
    ) from error
  print(f"{path}: {path.stat().st_size / 1e6:.1f} MB; its card is {path.stem}.md")


if __name__ == "__main__":
  exit_with_one_line(main)
