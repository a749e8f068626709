"""Is what was received what it says it is?

Flows in: imaging.instance.received, and the stored objects that it refers to; imaging.quarantine.command, by which a
person lets go what was held.
Flows out: imaging.instance.validated, with findings; imaging.instance.quarantined for what is unreadable or
unidentifiable.
Touches: reads the object store; writes nothing but its events, through the runner.
"""
