"""What is measured, against whom, and the last figures (README.md).

Flows in: a running stack, and receivers that are installed here. Flows out: a report as JSON or a table. Touches: the
stack as any sender would, processes that it starts itself, and /proc.
"""
