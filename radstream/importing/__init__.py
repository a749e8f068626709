"""Other formats as DICOM objects: what a file is, what a person says of it, and the objects that come of both.

Flows in: NIfTI, whole-slide images, TIFF, PNG, JPEG and MP4 files, and attributes that a person gives. Flows out: DICOM
files in a folder; nothing here sends. Touches: that folder, and temporary files for what is unpacked or coded anew.
"""
