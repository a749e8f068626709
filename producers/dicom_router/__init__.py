"""The DICOM receiver that scanners point at.

Flows in: C-ECHO and C-STORE requests (PS3.4 annexes A and B). Flows out: the received bytes as objects in the store,
`imaging.instance.received` and, for what is refused, `imaging.audit.event`. Touches: one listening port, the store, the
log, the protected blocks. Decodes no pixels and changes no byte of a data set.
"""
