"""What scanners ask and tell a RIS: what is to be done next, and how it is being done.

Flows in: C-FIND requests of the modality worklist (PS3.4 annex K); N-CREATE and N-SET of performed procedure steps
(annex F). Flows out: worklist items; `imaging.mpps.event`, in the log before the answer. Touches: one listening port,
the catalog (it reads), the log, the protected blocks.
"""
