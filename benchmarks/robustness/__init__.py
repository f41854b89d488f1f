"""Campaigns against the toolchain: what is hostile, damaged or unlucky, in numbers."""
