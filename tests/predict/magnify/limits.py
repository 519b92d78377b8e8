"""Where the magnifier fails: how its frames worsen the farther texture moves.

    python -m tests.predict.magnify.limits

moves a photograph (skimage.data.astronaut(), public domain; scikit-image comes with the
extra `tvl1`) by a smooth field and prints, as Markdown, for motions that peak at a
fraction of a pixel up to several, how near the magnified frame is to the photograph
moved that many times as far.
"""

import cv2
import numpy as np

from infusenet_jax.predict.magnify.frames import magnify
from infusenet_jax.runtime.text import markdown_table
from infusenet_jax.training.magnifier.measure import psnr, ssim
from infusenet_jax.training.magnifier.scenes import displace, draw_motion
from tests.predict.astronaut import photograph

PEAKS = (0.0, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0)  # Pixels.
AMPS = (5, 10, 20)
FIELDS = 4
_NOISE = 1.0  # Grey levels, of both frames.


def measure(peak: float, amp: int) -> list[float]:
  """PSNR as it is and magnified, SSIM, share of the motion, share of the texture."""
  image, found = np.float32(photograph()) / 255, []
  for seed in range(FIELDS):
    rng = np.random.default_rng(seed)
    motion = draw_motion(rng, len(image), 1.0)
    motion = motion / np.linalg.norm(motion, axis=-1).max()
    truth = displace(image, amp * peak * motion)
    noise = rng.normal(0, _NOISE / 255, (2, *image.shape))
    frames = np.stack([image, displace(image, peak * motion)]) + noise
    frames = np.uint8(np.round(255 * np.clip(frames, 0, 1)))
    larger = np.float32(magnify(frames, amp)[1]) / 255
    there = np.linalg.norm(motion, axis=-1) > 0.3
    found.append(
      (
        psnr(np.float32(frames[1]) / 255, truth),
        psnr(larger, truth),
        ssim(larger, truth),
        _share_of_motion(image, larger, motion[there], there) / max(amp * peak, 1e-9),
        _texture(larger)[there].mean() / _texture(truth)[there].mean(),
      )
    )
  return np.mean(found, axis=0).tolist()


def _share_of_motion(first, larger, motion: np.ndarray, there: np.ndarray) -> float:
  """How many times `motion` (M, 2) best explains the flow from first to larger."""
  grey = [np.uint8(255 * np.clip(x, 0, 1).mean(-1)) for x in (first, larger)]
  flow = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM).calc(*grey, None)
  return float((flow[there] * motion).sum() / (motion**2).sum())


def _texture(image: np.ndarray) -> np.ndarray:
  """The strength of what is finer than about 4 pixels, (H, W)."""
  return np.abs(image - cv2.GaussianBlur(image, (0, 0), 1.5)).mean(-1)


def main() -> None:
  for amp in AMPS:
    rows = [["motion", "becomes", "PSNR as it is", "PSNR magnified", "SSIM",
             "of the motion", "of fine texture"]]  # fmt: skip
    for peak in PEAKS:
      before, after, alike, moved, texture = measure(peak, amp)
      rows.append(
        [
          f"{peak:g} px",
          f"{amp * peak:g} px",
          f"{before:.1f} dB",
          f"{after:.1f} dB",
          f"{alike:.3f}",
          f"{100 * moved:.0f} %" if peak else "",
          f"{100 * texture:.0f} %",
        ]
      )
    print(f"amp {amp}:\n\n{markdown_table(rows)}\n", flush=True)


if __name__ == "__main__":
  main()
