"""Simulated databases: drawn faces whose action units move by known amounts.

population.py plans who shows what and when; identity.py, painter.py and face.py draw
people; action_units.py and motion.py move them; camera.py, studio.py and nuisance.py
put them before a camera; film.py makes a clip's frames and its truth; writer.py and
workbooks.py store them as a licensee has them.
"""
