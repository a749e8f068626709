"""Where images come in.

Flows in: DICOM over the network. Flows out: objects in the store, events in the log. Touches: both, and nothing else.
"""
