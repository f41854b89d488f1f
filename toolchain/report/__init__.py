"""Results as tables for people; everything here goes to standard output."""

from toolchain.report.of_bench import bench
from toolchain.report.of_data import data, own_data
from toolchain.report.of_deployment import deployed
from toolchain.report.of_info import info
from toolchain.report.of_profile import profile
from toolchain.report.of_proof import calibration, proof
from toolchain.report.of_search import found, search
from toolchain.report.of_training import target_line, training

__all__ = [
    "bench",
    "calibration",
    "data",
    "deployed",
    "found",
    "info",
    "own_data",
    "profile",
    "proof",
    "search",
    "target_line",
    "training",
]
