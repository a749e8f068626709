"""One process of a service hands its listening sockets to a newer one, and nobody who connects meanwhile is refused.

Flows between the two, over a Unix socket in a private folder: who asks, which sockets there are, and their descriptors
(SCM_RIGHTS, unix(7)). So there is one accept queue from the first process to the last: what stands in it when one stops
is taken by the next. No secret goes through. docs/decisions/0039 says why it is done so, and which steps there are.
"""
