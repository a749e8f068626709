"""The DICOM upper layer over TCP, as the acceptor of associations (PS3.8), and the command sets in it (PS3.7).

Flows in: connections, and on them A-ASSOCIATE, P-DATA-TF, A-RELEASE and A-ABORT. Flows out: whole messages for the
operations that an association is given, and their responses. Touches: sockets alone. It knows nothing of archives,
events or logs of record.
"""
