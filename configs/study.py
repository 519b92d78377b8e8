"""Many models on the same clips, folds and seeds, and one table of them all.

    python -m infusenet_jax.main --config=study:models
    python -m infusenet_jax.main --config=study:ablations
    python -m infusenet_jax.main --config=study:rates
    python -m infusenet_jax.main --config=study:losses
    python -m infusenet_jax.main --config=study:reference

models: the baselines, InfuseNet as published and ours. ablations: one change of ours at
a time. rates: every model at several rates, one seed, two folds, on another draw of the
simulated databases, so that the choice of a rate never sees the clips of the others.
losses: unitary InfuseNet, also as the config cd6me_best has it, ResNet-18 on flow,
SSSNet, and a ResNet-18 on flow beside one on frames, by loss and by where their logits
are decided; where thresholds are fitted, 21 networks a seed are trained instead of 6.
reference: what the magnified branch can be read against, frames that nothing magnifies,
and gates that teach the flow branch nothing; what sees the offset as well has records
of its own, of the same clips. Both on the databases and by the recipe of the config
cd6me_simulated, whose AUs are as rare as in the six and as hard to see.

Each variant is a run of its own in WORKDIR/<variant>, which is kept and resumed as any
other. Studies share the runs that both need: models and ablations in one workdir,
losses and reference in another.
`--config.only=sssnet,ststnet` runs some, in one process or in several side by side.
Every field of the config cd6me can be overridden, for all variants at once.

The scale of the others is reduced for two cores as well: simulated databases of a
quarter of the published clips with evenly spread AUs, 64 px instead of 224, a quarter
of the width, 16 epochs of batches of 16 instead of 200 of 32, 3 seeds instead of 5, and
the quickstart's recipe, whose learning rate was the best of `rates` or within a point
of it.
docs/results.md: what came out of losses and reference.
"""

from ml_collections import ConfigDict

from infusenet_jax.runtime.configs import shipped
from infusenet_jax.runtime.errors import UserError

BASELINES = shipped("baselines").MODELS
OURS = "infusenet-unitary"
PUBLISHED = {"infusion": "published", "gate": "batch"}

# Of each model, what it changes in config.model.
MODELS = {
  name: BASELINES[name]
  for name in (
    "sssnet",
    "ststnet",
    "off_apexnet",
    "resnet18",
    "resnet18_reconstructed",
    "magnified_branch",
    "concatenated",
  )
} | {
  "infusenet-published": PUBLISHED,
  "infusenet-published-clip": {"infusion": "published"},
  OURS: {},
  "infusenet-stages": {"infused": 4},  # Pooled features are not infused.
}

TRIED = {"1e-3": 1e-3, "3e-3": 3e-3, "1e-2": 1e-2}  # Learning rates.

# What is trained by every loss, the losses, and where logits are decided: by the end of
# a variant's name.
LEARNERS = {
  name: {"model": BASELINES.get(name, {})}
  for name in (OURS, "resnet18", "sssnet", "concatenated_features_difference")
} | {"infusenet-best": shipped("cd6me_best").CHANGES}
LOSSES = ("bce", "focal", "logit_adjusted")
DECIDED = {"": "0", "-fitted": "fitted"}

# What the magnified branch sees beside the published differences, as changes in
# config.model.
BESIDE = {
  "onset": {"reference": "onset"},
  "signed": {"reference": "signed"},
  "amps": {"more_amps": (5.0, 20.0)},
}

# What is seen since both ends of the expression, as changes in config.model, and by
# whom: InfuseNet and what sees frames as they are.
BOTH_ENDS = {
  "offset": {"reference": "offset"},
  "offset-mean": {"reference": "offset_mean"},
}
SINCE_BOTH = {
  "infusenet": OURS,
  "resnet18_difference": "resnet18_difference",
  "concatenated_features_difference": "concatenated_features_difference",
}

# One change of ours each.
CHANGES = {
  **{f"infused-{places}": {"model": {"infused": places}} for places in (1, 2, 3, 4)},
  **{f"amp-{amp}": {"model": {"amp": float(amp)}} for amp in (2, 5, 20)},
  "reconstructed": {"model": {"magnified": "reconstructed"}},
  "trained-magnifier": {"train": {"magnifier": True}},
  "no-window-apex": {"model": {"window_apex": False}},
}


def get_config(study: str = "models") -> ConfigDict:
  if study not in STUDIES:
    raise UserError(f"--config=study:{study}: expected one of {', '.join(STUDIES)}")
  config = shipped("quickstart").get_config()
  config.task = "study"
  config.name = "study"
  config.simulated.update({"dir": "data/simulated-study", "scale": 0.25})
  config.seeds = (45, 46, 47)
  config.train.update({"epochs": 16, "batch_size": 16})
  config.mesh.update({"fold": -1, "data": 1})  # a fold and seed on each device
  config.only = ""  # variants to run, such as 'sssnet,ststnet'; empty: all
  config.study = ConfigDict({"name": study, "reference": ""})
  STUDIES[study](config)
  return config


def _models(config: ConfigDict) -> None:
  config.study.reference = OURS
  config.study.variants = {name: {"model": model} for name, model in MODELS.items()}
  config.study.tables = (("Models", tuple((name, name) for name in MODELS)),)


def _ablations(config: ConfigDict) -> None:
  config.study.reference = OURS
  shared = ("infusenet-published", "infusenet-published-clip", "magnified_branch", OURS)
  config.study.variants = (
    {name: {"model": MODELS[name]} for name in shared}
    | {"flow_branch": {"model": BASELINES["flow_branch"]}}
    | CHANGES
  )
  config.study.tables = (
    (
      "Branches and infusion",
      (
        ("flow only", "flow_branch"),
        ("magnified only", "magnified_branch"),
        ("published, batch gate", "infusenet-published"),
        ("published, clip gate", "infusenet-published-clip"),
        ("unitary, clip gate", OURS),
      ),
    ),
    (
      "Where infusion acts",
      (
        ("stage 1", "infused-1"),
        ("stages 1-2", "infused-2"),
        ("stages 1-3", "infused-3"),
        ("stages 1-4", "infused-4"),
        ("stages 1-4, pooled", OURS),
      ),
    ),
    (
      "Magnification factor",
      (("2", "amp-2"), ("5", "amp-5"), ("10", OURS), ("20", "amp-20")),
    ),
    (
      "What is magnified",
      (("latents", OURS), ("reconstructed frames", "reconstructed")),
    ),
    ("Magnifier", (("frozen", OURS), ("trained", "trained-magnifier"))),
    ("Window apex", (("with", OURS), ("without", "no-window-apex"))),
  )


def _rates(config: ConfigDict) -> None:
  config.name = "study-rates"
  config.simulated.update({"dir": "data/simulated-study-rates", "seed": 1})
  config.seeds = config.seeds[:1]
  config.folds = "casme2,samm"
  config.study.variants = {
    f"{name}-{text}": {"model": model, "train": {"learning_rate": rate}}
    for name, model in MODELS.items()
    for text, rate in TRIED.items()
  }
  config.study.tables = tuple(
    (name, tuple((text, f"{name}-{text}") for text in TRIED)) for name in MODELS
  )


def _losses(config: ConfigDict) -> None:
  config.name = "study-losses"
  _as_hard_as_cd6me(config)
  config.study.reference = OURS
  config.study.variants = {
    _of_loss(name, loss, ending): change
    | {"train": {"loss": loss}, "decide_at": decided}
    for name, change in LEARNERS.items()
    for loss in LOSSES
    for ending, decided in DECIDED.items()
  }
  config.study.tables = tuple(
    (
      name,
      tuple(
        (f"{loss}{ending.replace('-', ', thresholds ')}", _of_loss(name, loss, ending))
        for ending in DECIDED
        for loss in LOSSES
      ),
    )
    for name in LEARNERS
  )


def _of_loss(name: str, loss: str, ending: str) -> str:
  """Names a variant; the protocol's is that of the study of references."""
  return name if (loss, ending) == ("bce", "") else f"{name}-{loss}{ending}"


def _as_hard_as_cd6me(config: ConfigDict) -> None:
  hard = shipped("cd6me_simulated").get_config()
  for field in ("simulated", "train"):
    config[field].update(hard[field])


def _reference(config: ConfigDict) -> None:
  config.name = "study-reference"
  _as_hard_as_cd6me(config)
  config.study.reference = OURS
  on_flow = ("sssnet", "off_apexnet", "resnet18")
  with_frames = (
    *("resnet18_difference", "concatenated_difference"),
    *("concatenated_features_difference", "magnified_branch", "concatenated"),
  )
  networks = {
    **{name: BASELINES[name] for name in (*on_flow, *with_frames)},
    "infusenet-published": PUBLISHED,
    "infusenet-detached": {"detached": True},
    OURS: {},
  }
  with_more = {
    f"{name}-{beside}": networks[base] | change
    for name, base in (("infusenet", OURS), ("magnified_branch", "magnified_branch"))
    for beside, change in BESIDE.items()
  }
  rows = shipped("cd6me_simulated").ROWS
  config.study.variants = (
    {name: {"model": model} for name, model in (networks | with_more).items()}
    | {
      name: row | {"model": networks[name] | row["model"]} for name, row in rows.items()
    }
    | {
      f"{name}-{seen}": {
        "model": networks[base] | change,
        "simulated": {"offset": True},
      }
      for name, base in SINCE_BOTH.items()
      for seen, change in BOTH_ENDS.items()
    }
  )
  config.study.tables = (
    ("Networks", tuple((name, name) for name in networks)),
    *(
      (
        title,
        (("as published", base), *((x, f"{name}-{x}") for x in BESIDE)),
      )
      for title, name, base in (
        ("Beside the differences, in InfuseNet", "infusenet", OURS),
        ("The same, magnified branch alone", "magnified_branch", "magnified_branch"),
      )
    ),
    *(
      (
        f"Since both ends, {base}",
        (("since the onset", base), *((x, f"{name}-{x}") for x in BOTH_ENDS)),
      )
      for name, base in SINCE_BOTH.items()
    ),
  )


STUDIES = {
  "models": _models,
  "ablations": _ablations,
  "rates": _rates,
  "losses": _losses,
  "reference": _reference,
}
