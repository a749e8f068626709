"""What can be set: section [forward]. The rules themselves are in the file that section [routes] names."""

from __future__ import annotations

from streams.config import Service
from streams.dimse.stored import Limits
from streams.runner_settings import RunnerSettings


class Settings(Service, frozen=True, kw_only=True):
    """`runner` is that of each destination alone; its `threads` are the destination's associations.

    Memory of a destination is about that number times 64 MiB: what is larger is on disk ([store] objects_folder). What
    is compressed and written native is in memory with its pixels.
    What is over `limits` is not written anew for a node that does not take it as it is: a dead letter of that node says
    so. A node may refuse whole studies, each instance a dead letter: the limit is a night of those.
    """

    runner: RunnerSettings = RunnerSettings(dead_letters_max=5000)
    limits: Limits = Limits()
