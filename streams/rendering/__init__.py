"""Frames as a person sees them: the grayscale and colour pipelines of PS3.3 section C.11, and picture files of them.

Flows in: a file that `streams.part10` has read. Flows out: 8 or 16 bit arrays, and PNG, WebP and JPEG files of them.
Touches: nothing.
"""
