"""That no helper can be had: the machine's fault, and no frame's."""

from __future__ import annotations


class HelperAway(Exception):
    """No process, file or memory for a decoder: a matter of waiting. The text says which."""
