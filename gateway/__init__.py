"""The view: DICOMweb, query and retrieve, the viewer and the study pages.

Flows in: HTTP requests and associations of viewers, other archives and people; rows of the catalog; revisions from the
log. Flows out: answers; access and audit events. Touches: the catalog and the object store, both only to read, and the
frame cache.
"""
