"""Do the instances of a study fit together?

Flows in: imaging.study.revision, the list of instances that it refers to, and the beginning of each of them in the
store. Flows out: imaging.study.assessed, with findings; imaging.instance.quarantined for an instance that is of another
patient than its study. Touches: reads the object stores; what is compared stays in memory, and no value of it is said.
"""
