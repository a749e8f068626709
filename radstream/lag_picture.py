"""What `radstream lag --watch` shows a person."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from radstream.lag_look import Look
from radstream.lag_windows import Window
from streams.lagging.figures import LaneLag

_MODALITIES = 4


def picture(look: Look) -> RenderableType:
    parts: list[RenderableType] = [_headline(look), _lanes(look.lanes)]
    if look.windows:
        parts.append(_windows(look.windows))
    if look.spool is not None and not look.spool.is_empty:
        parts.append(Text(f"{look.spool}.", style="bold red"))
    return Group(*parts)


def _headline(look: Look) -> Text:
    at = f"{look.at.astimezone():%H:%M:%S}"
    if look.away is None:
        return Text(f"{at}  {look.lag} records wait")
    of = (
        "nothing was measured yet"
        if look.measured_at is None
        else f"figures of {look.measured_at.astimezone():%H:%M:%S}"
    )
    return Text(f"{at}  the broker does not answer ({look.away}); {of}; trying again", style="bold red")


def _lanes(lanes: Sequence[LaneLag]) -> Table:
    """The lanes in which something waits or moves; how many are still is said below."""
    table = Table(header_style="bold", caption_justify="left")
    for name in ("group", "lane", "waiting", "oldest", "in/s", "out/s", "caught up in", "longest wait by modality"):
        table.add_column(name, justify="left" if name in ("group", "lane", "longest wait by modality") else "right")
    busy = [one for one in lanes if one.lag or one.in_per_s or one.out_per_s]
    for one in busy:
        table.add_row(
            one.group,
            one.lane,
            str(one.lag),
            _span(one.oldest_age_s),
            _rate(one.in_per_s),
            _rate(one.out_per_s),
            _catch_up(one),
            ", ".join(f"{seen.modality} {_span(seen.oldest_age_s)}" for seen in one.modalities[:_MODALITIES]),
        )
    if quiet := len(lanes) - len(busy):
        table.caption = f"{quiet} other lanes of these groups: nothing waits, nothing moves"
    return table


def _windows(windows: Sequence[Window]) -> Table:
    table = Table(
        header_style="bold", title_justify="left", title=f"Written in the last {windows[0].length_s:g} s window"
    )
    for name in ("topic", "lane", "modality", "records/s", "since receipt, mean", "longest"):
        table.add_column(name, justify="left" if name in ("topic", "lane", "modality") else "right")
    for one in windows:
        latency = (_span(one.latency_mean_s), _span(one.latency_max_s))
        table.add_row(one.topic, one.lane, one.modality, _rate(one.per_s), *latency)
    return table


def _catch_up(one: LaneLag) -> str:
    if one.in_per_s is None:
        return "-"
    return "never" if one.catch_up_s is None else _span(one.catch_up_s)


def _rate(per_s: float | None) -> str:
    return "-" if per_s is None else f"{per_s:.1f}"


def _span(seconds: float | None) -> str:
    """As a person says it: two figures that matter."""
    if seconds is None:
        return "-"
    if seconds < 100:
        return f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60:02d}"
