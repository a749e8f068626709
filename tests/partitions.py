"""Java's partitions of keys: murmur2 of `org.apache.kafka.common.utils.Utils`, as its own test has it."""

from __future__ import annotations

MURMUR2 = {
    b"21": -973932308,
    b"foobar": -790332482,
    b"a-little-bit-long-string": -985981536,
    b"a-little-bit-longer-string": -1486304829,
    b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
    b"abc": 479470107,
}


def java_partition(key: bytes, partitions: int) -> int:
    """`toPositive(murmur2(key)) % partitions`, as Java's default partitioner has it."""
    return (MURMUR2[key] & 0x7FFFFFFF) % partitions
