"""Simulated databases: drawn faces whose action units move by known amounts.

population.py says who shows what and when, identity.py and face.py draw people,
action_units.py and motion.py move them, camera.py and nuisance.py film them,
rendering.py puts a clip together and writer.py stores it as a licensee would have it.
"""
