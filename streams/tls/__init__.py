"""TLS of all that speaks DICOM or HL7, as server and as client (PS3.15 annex B.12).

Flows in: the files of a site's certificates, connections. Flows out: secured connections whose peer is proven, or in
words why there is none. Touches: those files, and sockets.
"""
