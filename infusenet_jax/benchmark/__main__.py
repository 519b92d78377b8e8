"""`python -m infusenet_jax.benchmark`."""

from infusenet_jax.benchmark.command import start

if __name__ == "__main__":
  start()
