import base64

import cv2
import numpy as np

from infusenet_jax.clips.images import flow_colours, frame_uri, heat_colours


def test_flow_has_a_colour_per_direction_and_none_at_rest():
  flow = np.zeros((2, 2, 2))
  assert (flow_colours(flow) == 255).all()
  flow[0] = [[3, 0], [-3, 0]]
  still = flow_colours(flow)[1]
  (red, cyan) = flow_colours(flow)[0].astype(int)
  assert (still == 255).all()
  assert red[0] > red[2] and cyan[2] > cyan[0]


def test_heat_is_brightest_where_the_map_is_largest():
  values = np.zeros((4, 4), np.float32)
  values[0, 0] = 0.2
  heat = heat_colours(values, np.full((16, 16, 3), 60, np.uint8)).astype(int).sum(-1)
  assert heat.shape == (16, 16)
  assert heat[0, 0] == heat.max() > 2 * heat[8, 8] and heat[8, 8] == heat.min()
  blank = heat_colours(0 * values, np.zeros((16, 16, 3), np.uint8))
  assert blank.max() < 20


def test_frames_keep_their_colours():
  frame = np.zeros((16, 16, 3), np.uint8)
  frame[..., 0] = 200
  data = np.frombuffer(base64.b64decode(frame_uri(frame).split(",")[1]), np.uint8)
  decoded = cv2.imdecode(data, cv2.IMREAD_COLOR_RGB)
  assert abs(int(decoded[8, 8, 0]) - 200) < 8 and decoded[8, 8, 2] < 8
