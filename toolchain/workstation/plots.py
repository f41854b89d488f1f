"""Matplotlib figures without a screen, in one style."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

from toolchain.support.errors import require

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FIRST, SECOND, MARK = "#1f6feb", "#d1592b", "#a03c14"
# class names may be Chinese, and matplotlib's own font has no such letters; the names are those
# that matplotlib finds, the first of each collection
FONTS = (
    *("DejaVu Sans", "Noto Sans CJK JP", "Noto Sans CJK SC", "Noto Sans SC", "Source Han Sans SC"),
    *("WenQuanYi Zen Hei", "WenQuanYi Micro Hei", "PingFang SC", "PingFang HK"),
    *("Hiragino Sans GB", "Microsoft YaHei", "SimHei"),
)


def figure(width: float, height: float) -> Figure:
    """An empty figure; sides in inches of 110 pixels.

    Raises:
        ToolchainError: matplotlib is not installed.
    """
    matplotlib = require("matplotlib", "export")
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    matplotlib.rcParams["font.family"] = _fonts()
    made = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(made)
    return made


def _fonts() -> list[str]:
    from matplotlib import font_manager

    here = set(font_manager.get_font_names())
    return [name for name in FONTS if name in here]


def legible(labels: Sequence[str]) -> list[str]:
    """The class names, and the numbers of those whose letters no font here has."""
    from matplotlib import font_manager

    fonts = [font_manager.get_font(font_manager.findfont(name)) for name in _fonts()]
    letters = {letter for label in labels for letter in label}
    known = {each for each in letters if any(font.get_char_index(ord(each)) for font in fonts)}
    return [label if known.issuperset(label) else f"#{i}" for i, label in enumerate(labels)]


def png(made: Figure) -> bytes:
    """The figure as a PNG file; the same figure gives the same bytes."""
    data = io.BytesIO()
    made.savefig(data, format="png", dpi=110, metadata={"Software": None})
    return data.getvalue()
