"""What `radstream doctor` looks at, a file for each part.

Flows in: a configuration, and the parts it names. Flows out: checks, each with what to do where it fails. Touches:
nothing for good; the store's probes remove what they write.
"""
