"""InfuseNet in JAX: micro-expression action units from infused motion magnification."""

__version__ = "0.1.0"
