"""One process of a service hands its listening sockets to a newer one, and nobody who connects meanwhile is refused.

Flows in: who asks. Flows out: which sockets there are, and their descriptors (SCM_RIGHTS, unix(7)), so that there is
one accept queue from the first process to the last: what stands in it when one stops is taken by the next. Touches: a
private folder, with a Unix socket in it, and the process's ports. No secret goes through. docs/decisions/0039 says why
it is done so; `messages` and `handover` have the steps. A service with several processes at once is a `crew` of
`member`s, whose parent goes through the same steps with each (docs/decisions/0057).
"""
