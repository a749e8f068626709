"""The router's own fsynced spool: what is acknowledged while store or log are away, or where a site chose so.

Flows in: C-STORE requests that were read and not refused. Flows out: the same requests, in the order of their study,
to `Archive.keep`, which stays the one way to commit. Touches: one folder of the router's own, mode 700. What is on it
alone is a promise of one node's disk.
"""
