"""A student that sees nothing but flow, taught by a finished run of InfuseNet.

    python -m infusenet_jax.main --config=quickstart
    python -m infusenet_jax.main --config=distill:quickstart \
      --config.teacher=runs/quickstart

After the colon stands the config whose data and training the student has: cd6me
(default), quickstart or cd6me_best, which may have a scale of its own
(`distill:cd6me_best,simulated`). They should be the teacher's. The student is
InfuseNet's flow branch alone: no magnifier, no second branch. The loss is

    config.train.loss + kl T^2 KL(teacher || student) + features E

KL is that of each AU's two outcomes, averaged over AUs, of probabilities at temperature
T; E is the mean squared error of standardised pooled features. Fold by fold, a student
learns from the teacher's networks of the same fold, which saw the same databases: from
the mean logits of all their seeds, and from the principal components of their features
(docs/learning.md). With kl = features = 0 it is trained as
--config=baselines:flow_branch,quickstart is, bit for bit.

docs/learning.md has the commands of the table: student, the same network untaught,
teacher.
"""

from ml_collections import ConfigDict

from infusenet_jax.runtime.configs import shipped
from infusenet_jax.runtime.errors import UserError

SCALES = ("cd6me", "quickstart", "cd6me_best")
FLOW_BRANCH = {
  "name": "flow_branch",
  "resnet_weights": "",
  "detached": False,
  "reference": "",
}


def get_config(whose: str = "cd6me") -> ConfigDict:
  scale, _, own = whose.partition(",")
  if scale not in SCALES or (own and scale != "cd6me_best"):
    raise UserError(
      f"--config=distill:{whose}: expected one of {', '.join(SCALES)}, or "
      "cd6me_best,simulated"
    )
  config = shipped(scale).get_config(*filter(None, (own,)))
  config.task = "distill"
  config.name += "-student"
  config.model.update(FLOW_BRANCH)
  config.teacher = ""  # workdir of a finished run
  config.distill = ConfigDict(
    {
      "kl": 1.0,  # lambda
      "temperature": 3.0,  # T
      "features": 1.0,  # mu
    }
  )
  return config
