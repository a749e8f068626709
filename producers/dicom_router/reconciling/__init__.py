"""What a crash between the object and its event left: bucket, spool and log are compared, and the event is published.

Flows in: the keys of the stores, the received events of the log, the heads of the spool. Flows out: differences, and on
demand the received event that the router would have written, with the same id. Touches no object: what has no event
stays, and what an event has lost is told to a person.
"""
