"""Tiering: where the bytes of a study are kept as it ages.

Flows in: imaging.study.revision, imaging.access.read, imaging.hold.command, imaging.tier.command, and what it said
before. Flows out: imaging.tier.moved. Touches: copies of originals in the hot, warm, cold and backup stores: it creates
them, reads them back, and deletes an exact version once enough others are verified and nothing holds the study. What an
archive does not give at once it asks for when a command wants it (docs/decisions/0066).
"""
