"""The programs that the stack runs.

Flows in: a Java runtime, Maven, Go and PostgreSQL of this machine, or the wheels that carry them. Flows out: paths of
programs. Touches: a folder of this user outside the checkout, so that a second checkout finds everything there.
"""
