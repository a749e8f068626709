"""Frames of an image as arrays, whatever it was stored as. Needs numpy and imagecodecs, which not every service has.

Flows in: a file that `streams.part10` has read. Flows out: integer arrays, or a note that says why there are none.
Touches: nothing.
"""
