"""Copies of an instance: one lossless, smaller one, and pictures: thumbnail, preview, a strip of many frames.

Flows in: imaging.instance.validated, and the stored objects that it refers to.
Flows out: imaging.instance.derived.
Touches: creates one object for each instance, `<tenant>/derived/<event id>` in the hot store, through the runner. The
original is read and never changed.
"""
