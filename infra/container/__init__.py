"""What a container of the cloud does before and beside its service.

Flows in: the configuration's text and secrets, from the environment that the cloud gives it. Flows out: files in
/run/radstream, which the service reads; tables and registered schemas, where a person asks for the set-up. Touches:
that folder, and for the set-up the schema registry and the database.
"""
