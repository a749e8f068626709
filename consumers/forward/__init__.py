"""What the site's rules ask for: instances forwarded to DICOM nodes, tags, holds.

Flows in: imaging.instance.validated, in a consumer group for each destination and in one for tags and holds, and the
stored objects that it refers to; what is held, and what people decided on that and on studies from outside. Flows out:
imaging.forward.result, imaging.hold.command, and C-STORE requests. Touches: the DICOM nodes of the rules; reasons of
holds, as protected blocks in the hot store. It changes no original.
"""
