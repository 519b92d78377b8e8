"""From anybody's video to action units: follow the face, spot, magnify, name AUs."""
