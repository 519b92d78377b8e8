"""Preparation of the six micro-expression databases, licensed or simulated."""
