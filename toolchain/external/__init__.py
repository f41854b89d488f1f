"""Models that were trained elsewhere, read and understood."""
