"""Other formats as DICOM objects: what a file is, what a person says of it, and the objects that come of both.

Nothing here sends: `radstream import` writes what comes out into a folder, and that goes through the router's door.
"""
