"""The command line: a file for each group of commands.

Flows in: a person's words and one configuration file. Flows out: facts on stdout, errors on stderr, audit events.
Touches: everything; nothing imports it.
"""
