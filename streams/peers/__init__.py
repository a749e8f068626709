"""The peers file: which application entities may come, from where, and how it is proven (docs/decisions/0035).

Flows in: the file, and who comes. Flows out: the peer that it is, or why it is none. Touches: that file.
"""
