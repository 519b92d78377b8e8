import numpy as np
import pytest

from data_prep.simulator import gallery


@pytest.mark.slow
def test_the_picture_shows_people_and_every_au(monkeypatch):
  monkeypatch.setattr(gallery, "DATABASES", ("samm",))
  monkeypatch.setattr(gallery, "_COLUMNS", 1)
  width, height = tile = (48, 60)
  picture = gallery.draw("casme2", 2, tile=tile)
  assert picture.shape == ((1 + 3 * 12) * height, width, 3)
  tiles = picture.reshape(-1, height, width, 3)[:, 20:].astype(float)  # No names.
  strong, natural = tiles[1:13], tiles[13:25]
  change = [np.abs(faces - faces.mean(0)).mean() for faces in (strong, natural)]
  assert change[0] > 2 * change[1] > 0
