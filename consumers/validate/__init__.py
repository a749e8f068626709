"""Is what was received what it says it is, and does a study fit together?

Flows in: imaging.instance.received, imaging.study.revision, and the stored objects that they refer to;
imaging.quarantine.command, by which a person lets go what was held.
Flows out: imaging.instance.validated and imaging.study.assessed, with findings; imaging.instance.quarantined for what
is unreadable or unidentifiable, of another patient than its study, or rejected by a person.
Touches: reads the object stores; writes nothing but its events, through the runner.
"""
