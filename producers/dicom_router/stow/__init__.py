"""STOW-RS: DICOM files by HTTP (PS3.18 section 10.5), into the same archive as C-STORE.

Flows in: POST requests of multipart/related with DICOM files. Flows out: one request to store for each part, and the
answer which of them are kept. Touches: a listening port of its own. Nothing of a request is held but the part that is
coming in.
"""
