"""What a result is as DICOM objects: a structured report (TID 1500) and a segmentation.

Flows in: an analysis, and the headers of the images it was made of. Flows out: data sets, as files to store. Touches:
nothing.
"""
