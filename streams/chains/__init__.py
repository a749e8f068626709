"""Chains of studies: in what order their instances came, so that a change, a loss or a swap in the archive shows.

Flows in: imaging.instance.validated of every lane, and what it said before. Flows out: imaging.study.chain, and signed
imaging.chain.head. Touches: checkpoints in the hot store, and the file of the keys that it signs with.
"""
