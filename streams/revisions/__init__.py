"""Study revisions: a study that was quiet for a while has a number; a late image, or a late hold, makes the next.

Flows in: imaging.instance.validated and .quarantined of every lane, and what it said before; of what is held, what
people decided. Flows out: imaging.study.revision. Touches: manifests (lists of digests) and checkpoints in the hot
store.
"""
