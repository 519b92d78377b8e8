"""Measures how fast a config runs, compared with the device's limits and PyTorch."""
