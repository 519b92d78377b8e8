"""What is said of networks in every report that they make."""

from infusenet_jax.clips.labels import database_name
from infusenet_jax.predict.findings import SIMULATED_WEIGHTS
from infusenet_jax.training.trained import Made, TrainedRun


def run_card(run: TrainedRun, made: Made, twin: TrainedRun | None) -> dict:
  """Lists what a report says of a run's networks.

  Args:
    run: the networks' own.
    made: how its records were made.
    twin: the run whose predictions calibrated it, maybe itself; None for none.
  """
  notes = [SIMULATED_WEIGHTS] if run.simulated else []
  if twin is None:
    notes.append(
      "probabilities are not calibrated: the run left nothing out to fit them on"
    )
  elif twin is not run:
    notes.append(
      "probabilities are calibrated on databases that networks of the same kind had "
      f"not seen (run {twin.name})"
    )
  if made.flow != "infusenet":
    notes.append(f"trained on flow of another kind ({made.flow}) than is measured here")
  if run.config.model.name == "infusenet" and run.config.model.gate == "batch":
    notes.append("the gate is over a batch; here each clip is a batch of its own")
  return {
    "source": "run",
    "name": run.name,
    "config": run.config.name,
    "model": run.config.model.name,
    "image_size": run.config.image_size,
    "databases": [database_name(key) for key in run.databases],
    "protocol": run.config.protocol,
    "simulated": run.simulated,
    "seeds": sorted({seed for seed, _ in run.members}),
    "networks": len(run.members),
    "calibrated": twin is not None,
    "notes": notes,
  }
