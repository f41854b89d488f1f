"""What a network costs, trained or not: bytes, memory, latency, and each layer's share of them.

For a program that compares many candidates: `cost` tells what one file of a network would cost,
with the latency here, or on a device: `with on_device("pi@host") as device: cost(…,
latency=device.latency)`.
"""

from toolchain.profiling.costs import Cost, cost
from toolchain.profiling.device import Device, on_device
from toolchain.profiling.latency import latency

__all__ = ["Cost", "Device", "cost", "latency", "on_device"]
