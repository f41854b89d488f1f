"""A colour data set of our own: six drawn shapes in class folders, the same for the same seed.

`python -m benchmarks.shapes FOLDER --images 3000 --size 96` writes `FOLDER/circle/00000.png` and so
on. Every picture shows one shape of any size, rotation, colour and place, somewhat stretched, on a
restless, duller ground among smaller blobs, part of it covered: hard enough to tell networks apart.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

KINDS = ("circle", "cross", "ring", "square", "star", "triangle")
FINER = 4  # masks are drawn so many times larger and reduced, which smooths their edges
CONTRAST = 80  # distance of a shape's colour from the ground's, in RGB of 0–255

Points = NDArray[np.float64]
Canvas = NDArray[np.float64]


def write(folder: Path, images: int, size: int, seed: int = 0, suffix: str = "png") -> None:
    """`images` pictures of `size`×`size` RGB pixels below `folder`, as many of each kind."""
    for number in range(images):
        kind = KINDS[number % len(KINDS)]
        path = folder / kind / f"{number:05}.{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture(kind, size, number, seed)).save(path)


def arrays(images: int, size: int, seed: int = 0) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """The same pictures, uint8 `[images, size, size, 3]`, and their kinds' places in `KINDS`."""
    labels = np.arange(images) % len(KINDS)
    drawn = [picture(KINDS[label], size, number, seed) for number, label in enumerate(labels)]
    return np.stack(drawn), labels.astype(np.uint8)


def picture(kind: str, size: int, number: int, seed: int) -> NDArray[np.uint8]:
    """Picture `number` of a set, uint8 `[size, size, 3]`; none depends on another."""
    random = np.random.default_rng((seed, number))
    canvas = _ground(size, random)
    for _ in range(random.integers(2, 6)):
        blob = _outline("blob", random) * random.uniform(0.04, 0.12) + random.uniform(0, 1, 2)
        canvas = _painted(canvas, _mask(size, blob), random.uniform(0, 255, 3))
    radius = random.uniform(0.14, 0.38)
    centre = random.uniform(0.8 * radius, 1 - 0.8 * radius, 2)  # a little may be cut off
    turned = _outline(kind, random) @ _turn(random) * radius
    mask = _mask(size, turned + centre)
    if kind == "ring":
        mask = mask - _mask(size, turned * random.uniform(0.4, 0.7) + centre)
    behind = (canvas * mask[..., None]).sum((0, 1)) / mask.sum()
    canvas = _painted(canvas, mask, _colour_unlike(behind, random))
    canvas = _painted(canvas, _mask(size, _cover(centre, radius, random)), _ground(size, random))
    noise = random.normal(0, random.uniform(0, 16), canvas.shape)
    return np.rint(np.clip(canvas + noise, 0, 255)).astype(np.uint8)


def _outline(kind: str, random: np.random.Generator) -> Points:
    """Corners `[N, 2]` within about 1 of the origin."""
    if kind == "square":
        return _around(np.ones(4))
    if kind == "triangle":
        return _around(np.ones(3))
    if kind == "star":
        return _around(np.tile([1, random.uniform(0.4, 0.55)], 5))
    if kind == "cross":
        arm = random.uniform(0.22, 0.38)
        corner = np.array([[arm, arm], [arm, 1], [-arm, 1]])
        quarter = np.array([[0, 1], [-1, 0]])
        return np.concatenate([corner @ np.linalg.matrix_power(quarter, k) for k in range(4)])
    if kind == "blob":
        return _around(random.uniform(0.4, 1, 7))
    return _around(np.ones(64))  # circle, and the rim of a ring


def _around(radii: NDArray[np.float64]) -> Points:
    """Corners at these distances from the origin, at equal angles."""
    angles = 2 * np.pi * np.arange(len(radii)) / len(radii)
    corners: Points = radii[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return corners


def _turn(random: np.random.Generator) -> Points:
    """A rotation and then a stretch to at most 1.4 times as long as wide, as a 2×2 matrix."""
    angle, stretch = random.uniform(0, 2 * np.pi), np.sqrt(random.uniform(1, 1.4))
    rotation = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    matrix: Points = rotation * random.permutation([stretch, 1 / stretch])
    return matrix


def _cover(centre: Points, radius: float, random: np.random.Generator) -> Points:
    """A blob over a part of the shape's rim."""
    angle = random.uniform(0, 2 * np.pi)
    place = centre + 0.85 * radius * np.array([np.cos(angle), np.sin(angle)])
    return _outline("blob", random) * radius * random.uniform(0.2, 0.6) + place


def _ground(size: int, random: np.random.Generator) -> Canvas:
    """A gradient between two colours, with clouds and stripes over it, float `[size, size, 3]`."""
    y, x = np.mgrid[:size, :size] / size
    # duller than the shapes: each colour halfway to a grey
    first, second = random.uniform(0, 255, (2, 3)) / 2 + random.uniform(0, 255, (2, 1)) / 2
    along = np.cos(angle := random.uniform(0, 2 * np.pi)) * x + np.sin(angle) * y
    slope = ((along - along.min()) / np.ptp(along))[..., None]
    coarse = random.uniform(0, 255, (*random.integers(3, 9, 2), 3)).astype(np.uint8)
    clouds = Image.fromarray(coarse).resize((size, size), Image.Resampling.BICUBIC)
    stripes = np.sin(random.uniform(5, 60) * along + 6 * y)[..., None]
    gradient = first * slope + second * (1 - slope)
    ground: Canvas = (
        gradient
        + random.uniform(0, 0.3) * (np.asarray(clouds) - 128.0)
        + random.uniform(0, 12) * stripes
    )
    return ground


def _colour_unlike(ground: Points, random: np.random.Generator) -> Points:
    for _ in range(1000):  # more than nine in ten will do
        colour = random.permuted(random.uniform([0, 0, 195], [60, 255, 255]))  # a vivid one
        if np.linalg.norm(colour - ground) > CONTRAST:
            return colour
    raise ValueError(f"no vivid colour is unlike {ground}")


def _mask(size: int, corners: Points) -> Canvas:
    """How much of each pixel lies within the corners (0–1 of the picture's side), 0 to 1."""
    drawn = Image.new("L", (size * FINER, size * FINER))
    ImageDraw.Draw(drawn).polygon([tuple(xy) for xy in corners * size * FINER], fill=255)
    mask: Canvas = np.asarray(drawn.reduce(FINER)) / 255
    return mask


def _painted(canvas: Canvas, mask: Canvas, colour: NDArray[np.float64]) -> Canvas:
    """The canvas with a colour, or another canvas, where the mask lets it through."""
    return canvas + mask[..., None] * (colour - canvas)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--images", type=int, default=3000)
    parser.add_argument("--size", type=int, default=96)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--suffix", choices=("png", "jpg"), default="png")
    given = parser.parse_args()
    write(given.folder, given.images, given.size, given.seed, given.suffix)


if __name__ == "__main__":
    main()
