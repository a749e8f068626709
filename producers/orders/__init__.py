"""Orders from a RIS: HL7 v2 messages become commands in the log.

Flows in: OMI^O23 and ORM^O01 over MLLP. Flows out: `imaging.order.command`, and an acknowledgement once Kafka has it.
Touches: one listening port, the log (also what was ordered before, which is all that can be cancelled), the protected
blocks. What an order is, and how it is said, the command line shares.
"""
