"""How many of all that may be there at once one address may have: the rest is room for the others."""

from __future__ import annotations


def of_one_address(all_max: int, per_peer_max: int | None, default: int) -> int:
    """What is set, which may be all; else the default, which leaves others a quarter."""
    return per_peer_max or max(min(default, 3 * all_max // 4), 1)


def check(what: str, all_max: int, per_peer_max: int | None) -> None:
    """Raises ValueError, which names the keys of `what`."""
    if per_peer_max is not None and per_peer_max > all_max:
        raise ValueError(
            f"{what}_per_peer_max ({per_peer_max}) is more than {what}_max ({all_max}): one address could take all; "
            f"write fewer, or leave {what}_per_peer_max out, which leaves others a quarter"
        )
