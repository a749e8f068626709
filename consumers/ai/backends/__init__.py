"""What runs a network: in this process, or in a Triton server.

Flows in: arrays of a model's inputs. Flows out: arrays of its outputs. Touches: the model's file, a Triton server where
one is configured, a GPU where there is one.
"""
