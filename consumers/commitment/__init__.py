"""Storage commitment (PS3.4 annex J): whether what a sender asks about is safe, and telling it so.

Flows in: imaging.commitment.request, and imaging.commitment.result, its own. Flows out: imaging.commitment.result,
imaging.commitment.report, and N-EVENT-REPORT to the nodes of the site. Touches: the log, the store (results as they
are kept, and whose turn it is to tell), the catalog, which it only reads, and the file of nodes.
"""
