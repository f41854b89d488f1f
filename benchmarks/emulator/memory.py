"""The resident memory of a guest, without the emulator's own.

QEMU shows the guest its own mappings in `/proc/self/maps`, and this machine's view of the whole
process in `/proc/self/smaps`: what lies in both is the guest's. Pages that code was translated from
count although a Pi would have them too; the translations do not.
"""

from __future__ import annotations

# Guest code: defines resident_bytes().
RESIDENT = """
def resident_bytes():
    def span(line):
        return [int(end, 16) for end in line.split()[0].split("-")]
    def binary(lines):
        return next(span(line)[0] for line in lines if "/python3" in line)
    seen = [line for line in open("/proc/self/maps") if "-" in line.split()[0]]
    real = open("/proc/self/smaps").read().splitlines()
    heads = [line for line in real if not line.split()[0].endswith(":")]
    shift = binary(heads) - binary(seen)
    spans = [[start + shift, end + shift] for start, end in map(span, seen)]
    total, inside = 0, False
    for line in real:
        if not line.split()[0].endswith(":"):
            start = span(line)[0]
            inside = any(first <= start < last for first, last in spans)
        elif line.startswith("Rss:") and inside:
            total += int(line.split()[1]) * 1024
    return total
"""
