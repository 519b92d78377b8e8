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

PEAKS = (0.1, 0.25, 0.5, 1.0, 2.0, 4.0)  # Pixels.
AMP = 10
FIELDS = 2
PART = np.s_[40:296, 100:356]  # The face and what is around it, 256 x 256.
_NOISE = 1.0  # Grey levels, of both frames.


def measure(peak: float, amp: float = AMP) -> list[float]:
  """PSNR as it is and magnified, SSIM, share of the motion, share of the texture."""
  image, found = np.float32(photograph()[PART]) / 255, []
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
        _share_of_motion(image, larger, motion[there], there) / (amp * peak),
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
  rows = [["motion", "becomes", "PSNR as it is", "PSNR magnified", "SSIM",
           "of the motion", "of fine texture"]]  # fmt: skip
  for peak in PEAKS:
    before, after, alike, moved, texture = measure(peak)
    rows.append(
      [
        f"{peak:g} px",
        f"{AMP * peak:g} px",
        f"{before:.1f} dB",
        f"{after:.1f} dB",
        f"{alike:.3f}",
        f"{100 * moved:.0f} %",
        f"{100 * texture:.0f} %",
      ]
    )
  print(markdown_table(rows))


if __name__ == "__main__":
  main()
