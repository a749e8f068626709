"""Storage commitment as the router takes it (PS3.4 annex J): a request becomes an event, and nothing is promised yet.

Flows in: N-ACTION requests of the associations, and imaging.commitment.result while one that asked is open. Flows out:
imaging.commitment.request, audit events of what is refused, and N-EVENT-REPORT on associations that asked. Touches: the
log, and in the store whose turn it is to tell. `consumers/commitment` says what becomes of a request.
"""
