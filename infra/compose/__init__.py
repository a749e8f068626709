"""The local stack for people who have a container engine.

Flows in: `compose.yaml`, and two secrets from the person's environment. Flows out: one configuration file, topics,
schemas, buckets and tables. Touches: the volumes that the compose file mounts, and the servers it starts.
"""
