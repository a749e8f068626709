"""Inference: what models say of instances and of series.

Flows in: imaging.instance.validated and imaging.study.revision of every lane. Flows out: imaging.inference.result, and
imaging.instance.received for the SR and SEG objects it makes. Touches: originals (read), its results and objects in the
hot store (created), the model repository (read), a Triton server where one is configured.
"""
