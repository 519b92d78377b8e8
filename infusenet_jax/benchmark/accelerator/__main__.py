"""`python -m infusenet_jax.benchmark.accelerator`."""

from infusenet_jax.benchmark.accelerator.bare import stand_in

if __name__ == "__main__":
  stand_in()
  from infusenet_jax.benchmark.accelerator.command import main
  from infusenet_jax.runtime.errors import exit_with_one_line

  exit_with_one_line(main)
