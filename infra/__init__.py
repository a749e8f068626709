"""What radstream runs on: the embedded local stack and, later, the cloud.

Flows in: the list of topics, a home folder. Flows out: running parts and one configuration file. Touches: processes,
ports and folders of this machine. Imports `schemas`, `streams` and the migrations of the catalog; only the command
line and the tests import it.
"""
