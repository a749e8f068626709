"""Pictures of frames that were rendered before: on local disk, and in Redis for many nodes.

Flows in: what is asked for, and a function that renders it. Flows out: the picture, from a tier or from the function.
Touches: one folder, and keys of one Redis database that begin with `radstream:frame:`. Nothing in them is needed: they
may be deleted, be away or be damaged at any time, and the picture is rendered.
"""
