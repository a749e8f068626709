"""The public contract, as packaged files.

Flows in: nothing. Flows out: topics and Avro schemas, read from `avro/`. Touches: its own files only.
"""

from schemas.subjects import Schema, Subject, load_subjects
from schemas.topics import Group, Lane, Topic, Topics, load_topics

__all__ = ["Group", "Lane", "Schema", "Subject", "Topic", "Topics", "load_subjects", "load_topics"]
