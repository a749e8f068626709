"""Study revisions: a study that was quiet for a while has a number; a late image makes the next.

Flows in: imaging.instance.validated of every lane, and what it said before. Flows out: imaging.study.revision. Touches:
manifests (lists of digests) and checkpoints in the hot store.
"""
