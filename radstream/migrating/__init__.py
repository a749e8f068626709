"""A migration: the studies of an old PACS, pulled to the router and reconciled with the catalog.

Flows in: what an old PACS says that it has, by C-FIND, and what the catalog says that is here. Flows out: C-MOVE
requests to the old PACS, what it gives by C-GET to the router by C-STORE, a journal and a report, UIDs alone. Touches:
the old PACS, the router, the catalog (reading), the journal file.
"""
