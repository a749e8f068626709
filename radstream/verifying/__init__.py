"""Whether the archive holds what the chains say: every link, every signature, every stored copy.

Flows in: imaging.study.chain, imaging.chain.head, imaging.tier.moved, imaging.instance.validated, .quarantined and
.derived, and the bytes of each copy. Flows out: a report. Touches: nothing.
"""
