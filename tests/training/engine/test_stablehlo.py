"""The train step that GPUs and TPUs get, read in its StableHLO."""

import re
from collections import Counter

import jax
import jax.numpy as jnp
import pytest

from configs import quickstart
from infusenet_jax.runtime.devices import device_mesh
from infusenet_jax.training.engine import steps
from infusenet_jax.training.engine.network import build_network
from tests.training.engine.test_export import shapes


def stablehlo(platform: str, step, *arguments) -> str:
  """Of a compiled function, as that platform gets it."""
  return jax.export.export(step, platforms=[platform])(*arguments).mlir_module()


@pytest.fixture(
  scope="module",
  params=[
    pytest.param("cuda", marks=pytest.mark.slow),
    pytest.param("tpu", marks=pytest.mark.release),
  ],
)
def train_step(request) -> str:
  """Of InfuseNet in bfloat16 with all that may be in it, at a small size."""
  config = quickstart.get_config()
  config.dtype, config.image_size, config.model.width = "bfloat16", 64, 4
  config.train.update({"batch_size": 4, "mirror": True, "schedule": "cosine"})
  network = build_network(config, device_mesh(4))
  (states, batches), _ = shapes(config, network)
  clips = {
    name: jax.ShapeDtypeStruct((30, *like.shape[3:]), like.dtype)
    for name, like in batches.steps.items()
    if name != "weights"
  }
  count = (1, steps.STEPS_ON_ACCELERATORS, config.train.batch_size)
  own = {
    "numbers": jax.ShapeDtypeStruct(count, jnp.int32),
    "weights": jax.ShapeDtypeStruct(count, jnp.float32),
  }
  batches = steps.Batches(clips, own)
  return stablehlo(request.param, network.train_steps, states, batches)


def constrained(lines: list[str]) -> dict[str, str]:
  """What each value of one region is that is only said to lie on some devices.

  Other regions may give the same names to other values.
  """
  said = r"(%\w+) = sdy\.sharding_constraint (%\w+)"
  return dict(re.findall(said, "\n".join(lines)))


def loops_of_unknown_length(text: str) -> list[str]:
  """The `while` of a text whose number of turns is not written in it.

  It is where a counter that starts from a constant is compared with a constant, and
  grows by a constant in every turn.
  """
  lines, found = text.splitlines(), []
  constants = set(re.findall(r"(%\w+) = stablehlo\.constant dense<-?\d+> :", text))
  for number, line in enumerate(lines):
    opened = re.match(r"( *)(%\S+ = )?stablehlo\.while\((.*?)\) :", line)
    if not opened:
      continue
    indent, starts = opened[1], dict(re.findall(r"(%\w+) = (%[\w#]+)", opened[3]))
    do = lines.index(indent + "} do {", number)
    after = range(do + 1, len(lines))
    end = next(i for i in after if lines[i].startswith(indent + "}"))
    function = max(i for i in range(number) if "func.func" in lines[i])
    before, asked, done = (
      constrained(lines[first:last])
      for first, last in ((function, number), (number, do), (do, end))
    )
    condition = [x for x in lines[number + 2 : do] if " sdy." not in x]
    test = re.fullmatch(
      r"(?:\s+%\w+ = stablehlo\.constant .*\n)*"
      r"\s+(%\w+) = stablehlo\.compare +LT, (%\w+), (%\w+), .*\n"
      r"\s+stablehlo\.return \1 : .*",
      "\n".join(condition),
    )
    counter, stop = (asked.get(x, x) for x in test.groups()[1:]) if test else ("", "")
    start = starts.get(counter)
    if before.get(start, start) not in constants or stop not in constants:
      found.append(line.strip())
      continue
    returned = re.findall(r"%[\w#]+", lines[end - 1].split(" : ")[0])
    grown = returned[list(starts).index(counter)]
    grown = re.escape(done.get(grown, grown))
    grows = re.compile(rf"\s+{grown} = stablehlo\.add (%\w+), (%\w+) : ")
    added = [m.groups() for x in lines[do:end] if (m := grows.match(x))]
    added = [{done.get(x, x) for x in pair} - {counter} for pair in added]
    if len(added) != 1 or len(added[0]) != 1 or not added[0] <= constants:
      found.append(line.strip())
  return found


def shapes_in(line: str) -> list[str]:
  return re.findall(r"tensor<([^>]*)>", line)


def lines_of(text: str, operation: str) -> list[str]:
  return [line for line in text.splitlines() if f"stablehlo.{operation}" in line]


@pytest.mark.parametrize(
  "function, unknown",
  [
    (lambda x: jax.lax.fori_loop(0, 7, lambda i, c: c * 2, x), 0),
    (lambda x: jax.lax.scan(lambda c, a: (c + a, a), x, jnp.arange(5.0)), 0),
    (lambda x: jax.lax.while_loop(lambda c: c < 9, lambda c: c * 2, x), 1),
    (lambda x: jax.lax.fori_loop(0, jnp.int32(x), lambda i, c: c * 2, x), 1),
    (lambda x: jax.lax.fori_loop(jnp.int32(x), 9, lambda i, c: c * 2, x), 1),
    (
      lambda x: jax.lax.fori_loop(
        0, 7, lambda i, c: jax.lax.while_loop(lambda c: c < 9, lambda c: c * 2, c), x
      ),
      1,
    ),
  ],
  ids=["fori", "scan", "while", "stop unknown", "start unknown", "inside"],
)
def test_a_loop_of_unknown_length_is_told_from_others(function, unknown):
  text = stablehlo("cuda", jax.jit(function), 1.0)
  assert "stablehlo.while" in text
  assert len(loops_of_unknown_length(text)) == unknown


def test_no_loop_of_the_train_step_asks_whether_it_is_done(train_step):
  assert len(lines_of(train_step, "while")) == 1  # Over the steps of a dispatch.
  assert loops_of_unknown_length(train_step) == []


def test_nothing_in_the_train_step_is_float64(train_step):
  assert not re.search(r"\bf64|xf64", train_step)


def test_every_convolution_under_bfloat16_is_in_bfloat16(train_step):
  convolutions = lines_of(train_step, "convolution")
  # 20 in each branch, each with two gradients; the three that see flow or latents have
  # one, since neither is trained.
  assert len(convolutions) == 2 * 20 * 3 - 3
  for line in convolutions:
    assert all(shape.endswith("xbf16") for shape in shapes_in(line)), line


def test_no_activation_is_transposed_between_layers(train_step):
  ranks = Counter(
    shapes_in(line)[-1].count("x") for line in lines_of(train_step, "transpose")
  )
  # Matrices: rotations, alone and of one size together, and the head's kernel.
  assert set(ranks) <= {2, 3}


def test_nothing_is_scattered_in_the_train_step(train_step):
  assert not lines_of(train_step, "scatter")
