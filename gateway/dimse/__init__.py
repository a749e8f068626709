"""Query and retrieve (PS3.4 annex C): C-FIND, C-MOVE, C-GET, in a process of its own.

Flows in: associations of other archives and of workstations; rows of the catalog. Flows out: matches; instances, to who
asked or to nodes of the site; access and audit events. Touches: one listening port, the catalog and the object store
(it reads), the file of nodes, associations that it opens.
"""
