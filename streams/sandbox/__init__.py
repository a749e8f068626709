"""Decoders that are native code, in processes of their own, so that a crash costs one file.

Flows in: a codestream, and what the header says of it.
Flows out: one frame's pixels, or the reason why there are none.
Touches: starts, limits and ends helper processes of this service (docs/decisions/0049 says what holds them).
"""
