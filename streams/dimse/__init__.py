"""An application entity by pynetdicom: its port, its peers, its ceilings, what queries match, what may be sent.

Flows in: associations; identifiers. Flows out: statuses that say why; data sets as a peer takes them. Touches: the
ports that its service names, the files of trust.
"""
