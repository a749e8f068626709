"""Inference: what models say of instances and of series.

Flows in: imaging.instance.validated and imaging.study.revision of every lane; what is held, and what people decided on
that, so that nothing is asked of it. Flows out: imaging.inference.result, and imaging.instance.received for the SR and
SEG objects it makes. Touches: originals (read), its results and objects in the
hot store (created), the model repository (read), a Triton server where one is configured.
"""
