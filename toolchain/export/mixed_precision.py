"""Which layers int8 harms, and the fewest of them to keep in float for the file to pass.

One operator's harm is what its own quantisation, of weights, input and output, does to its output
in a model that is float elsewhere; an operator that only hands on what another one broke is not
blamed. Source: M. Nagel et al., "A White Paper on Neural Network Quantization" (2021),
arXiv:2106.08295, on finding the layers that lose most by quantising one at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from toolchain.conversion import Selective
from toolchain.support.progress import SILENT, Progress
from toolchain.workstation import plots

if TYPE_CHECKING:
    from numpy.typing import NDArray

IMAGES = 64  # to measure on; 500 change no figure of fashion-cnn by more than 0.7 dB
CLEAN = 100.0  # dB; above it there is no noise worth a number


@dataclass(frozen=True)
class Noise:
    """Signal to quantisation noise at one operator's output, in dB, at most `CLEAN`.

    `alone`: with this operator in int8 and all others in float. `together`: in the int8 file.
    0 dB says that the noise is as strong as the signal. Both are means over the channels: the
    next layer weighs each channel by itself, so a weak one counts as much as a strong one.
    """

    layer: str
    operator: str
    output: str
    alone: float
    together: float

    def __str__(self) -> str:
        return f"{self.layer} ({self.operator})"


@dataclass(frozen=True)
class MixedPrecision:
    """What was found out about a file in int8 that failed, operators in the order they run.

    `kept` are those that have to stay in float; None where no choice of them helps, or only one
    that makes the file no smaller than in float.
    """

    noise: tuple[Noise, ...]
    kept: tuple[Noise, ...] | None

    @property
    def worst_first(self) -> tuple[Noise, ...]:
        return tuple(sorted(self.noise, key=lambda noise: noise.alone))


def measure(
    maker: Selective,
    model: Any,
    calibrated: bytes,
    images: NDArray[np.uint8],
    progress: Progress = SILENT,
) -> tuple[Noise, ...]:
    """The noise of every operator that int8 quantises, in the order in which they run.

    `images` uint8 `[N, height, width, channels]`; `calibrated` was made of the Keras `model`. A
    large network takes minutes.
    """
    operators = maker.inspect(calibrated).operators
    int8 = maker.quantize(calibrated)
    quantized = maker.inspect(int8).quantized
    outputs = [name for name in operators if name in quantized]
    together = _ratios(maker, calibrated, int8, outputs, images)
    found: list[tuple[str, str, str, float]] = []
    for output in outputs:
        progress.at(
            "measuring what int8 does to each layer",
            len(found) / len(outputs),
            f"{len(found)} of {len(outputs)} operators",
        )
        others = [each for each in outputs if each != output]
        (alone,) = _ratios(maker, calibrated, maker.quantize(calibrated, others), [output], images)
        layers = "+".join(maker.layers_of(output, model)) or output
        found.append((layers, operators[output], output, alone))
    return tuple(Noise(*each, ratio) for each, ratio in zip(found, together, strict=True))


def _ratios(
    maker: Selective,
    true: bytes,
    noisy: bytes,
    outputs: Sequence[str],
    images: NDArray[np.uint8],
) -> list[float]:
    """For each output, the mean over its channels (its last axis) of signal to noise in dB."""
    powers: list[list[NDArray[np.float64]]] = [[] for _ in outputs]
    clean, dirty = maker.inspect(true), maker.inspect(noisy)
    for image in images:
        pairs = zip(clean.outputs(image, outputs), dirty.outputs(image, outputs), strict=True)
        for power, (signal, changed) in zip(powers, pairs, strict=True):
            both = np.stack([signal, changed - signal]).astype(np.float64)
            power.append((both**2).sum(tuple(range(1, both.ndim - 1))))
    return [_decibels(np.sum(power, axis=0)) for power in powers]


def _decibels(power: NDArray[np.float64]) -> float:
    """`power` is `[2, channels]`: that of the signal and of the noise."""
    signal, noise = power[:, power[0] > 0]  # a dead channel has nothing to lose
    if not signal.size:
        return CLEAN
    ratios = 10 * np.log10(signal / np.maximum(noise, signal * 10 ** (-CLEAN / 10)))
    return float(ratios.mean())


def search(
    noise: Sequence[Noise], passes: Callable[[tuple[Noise, ...]], bool]
) -> tuple[Noise, ...] | None:
    """The fewest operators, taken from the worst, with which in float the file `passes`.

    None where that takes all of them. Bisection: as many calls as the number has binary digits.
    """
    worst = sorted(noise, key=lambda each: each.alone)
    fails, works = 0, len(worst)
    while works - fails > 1:
        middle = (fails + works) // 2
        if passes(_in_order(noise, worst[:middle])):
            works = middle
        else:
            fails = middle
    return _in_order(noise, worst[:works]) if works < len(worst) else None


def _in_order(noise: Sequence[Noise], chosen: Sequence[Noise]) -> tuple[Noise, ...]:
    return tuple(each for each in noise if each in chosen)


def to_png(found: MixedPrecision, title: str) -> bytes:
    """The noise along the network, with what has to stay in float marked."""
    rows = range(len(found.noise))
    figure = plots.figure(9, 1.3 + 0.3 * len(found.noise))
    figure.suptitle(title)
    axes: Any = figure.subplots()
    for row, noise in enumerate(found.noise):
        if noise in (found.kept or ()):
            axes.axhspan(row - 0.5, row + 0.5, color=plots.SECOND, alpha=0.08, lw=0)
    alone = [noise.alone for noise in found.noise]
    together = [noise.together for noise in found.noise]
    axes.plot(alone, rows, "o", color=plots.SECOND, markersize=6, label="only this one in int8")
    axes.plot(together, rows, "s-", color=plots.FIRST, markersize=4, label="all in int8")
    axes.set_yticks(rows, [str(noise) for noise in found.noise], fontsize=9)
    axes.set_ylim(len(found.noise) - 0.5, -0.5)
    axes.set_xlabel("signal to quantisation noise, dB")
    if found.kept:
        axes.set_title("shaded: stays in float", fontsize=10, color=plots.MARK)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    return plots.png(figure)
