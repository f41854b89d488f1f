"""Keras' own format, which training writes."""

from toolchain.formats.keras import PACKAGES, convert, embed, min_runtime, summarize

__all__ = ["PACKAGES", "convert", "embed", "min_runtime", "summarize"]
