"""Storage commitment as the router takes it (PS3.4 annex J): a request becomes an event, and nothing is promised yet.

Flows in: N-ACTION requests of the associations. Flows out: imaging.commitment.request, and audit events of what is
refused. Touches: the log. `consumers/commitment` says what becomes of a request.
"""
