"""Has an instance the modules and attributes that its SOP class wants?

PS3.3 annexes A and C; the Types are those of PS3.5 section 7.4.

Flows in: a `Part10`, and `tables.bin`, which `distil.py` made out of the standard's tables (TABLES.md says which).
Flows out: findings. Touches: nothing.
"""

from consumers.validate.iod.check import Checked, check, knows
from consumers.validate.iod.rules import RULES

__all__ = ["RULES", "Checked", "check", "knows"]
