"""Data sets written anew in another transfer syntax, without losing a bit of a pixel or of any other value.

Flows in: a file that `streams.part10` has read. Flows out: bytes of a data set, or the reason why there are none.
Touches: nothing. Needs pydicom; `native` needs numpy and imagecodecs too.
"""
