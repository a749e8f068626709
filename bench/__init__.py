"""What is measured, against whom, and the last figures (README.md).

Flows in: a running stack. Flows out: a report as JSON or a table. Touches: the stack as any sender would, and /proc.
"""
