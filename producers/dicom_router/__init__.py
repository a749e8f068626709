"""The DICOM receiver that scanners point at.

Flows in: C-ECHO and C-STORE requests (PS3.4 annexes A and B). Flows out: the received bytes as objects in the store,
`imaging.instance.received` and, for what is refused, `imaging.audit.event`. Touches: one listening port, the store, the
log, the protected blocks, temporary files for large objects. Decodes no pixels and changes no byte of a data set.

`listening` gives each connection a thread, `trust` says who may send, `upper_layer` reads the association (PS3.8), and
`operations` has what is offered there: a further service is a further entry. An object comes in as a `data_set`;
whole, it is an `arrival`, and what `archive` does with it decides the status that `receiver` answers. `several` is the
parent of a router with several processes, each of which does all of that.
"""
