"""A cache of rendered frames: quick, bounded, never wrong, and never missed when it is away."""

from __future__ import annotations

import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import RedisError

from streams import metrics
from streams.config import ConfigError
from streams.framecache import shared
from streams.framecache.cache import FrameCache, Tier, opened
from streams.framecache.config import FrameCacheSettings
from streams.framecache.disk import DiskTier
from streams.framecache.entry import key_of, packed, unpacked
from streams.framecache.shared import RedisTier
from streams.rendering.files import File
from streams.rendering.frame import Asked, Rendered
from streams.rendering.render import Wanted
from streams.rendering.source import NotRendered, not_rendered
from streams.rendering.voi import Window
from tests.waiting import wait_until

KEY, OTHER = "ab" * 32, "cd" * 32


def picture(data: bytes = b"picture") -> Rendered:
    return Rendered(File(data, "image/png", 2, 3), "window", False, ("window_broken",))


class Renderer:
    """Counts how often it was asked."""

    def __init__(self, data: bytes = b"picture") -> None:
        self.calls, self._data = 0, data

    def __call__(self) -> Rendered:
        self.calls += 1
        return picture(self._data)


def counted() -> dict[str, float]:
    """The cache's metrics so far, by what and where."""
    return {
        f"{what} {sample.labels[label]}": sample.value
        for what, counter, label in (
            ("from", metrics.FRAMES, "source"),
            ("into", metrics.FRAME_REFILLS, "tier"),
            ("damaged", metrics.FRAMES_DAMAGED, "tier"),
        )
        for sample in next(iter(counter.collect())).samples
        if sample.name.endswith("_total")
    }


class Counting:
    """What was counted within the block: `found` is there at its end."""

    def __enter__(self) -> Counting:
        self._before = counted()
        self.found: dict[str, float] = {}
        return self

    def __exit__(self, *_: object) -> None:
        self.found = {what: now - self._before.get(what, 0) for what, now in counted().items()}
        self.found = {what: count for what, count in self.found.items() if count}


@pytest.fixture
def redis_url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A real server on a socket of its own, which is waited for however busy the machine is."""
    monkeypatch.setattr(shared, "_TIMEOUT_S", 60.0)
    if shutil.which("redis-server") is None:
        pytest.skip("redis-server is not installed: the tier in Redis is not tested")
    door = tmp_path / "redis.sock"
    command = ["redis-server", "--port", "0", "--unixsocket", str(door), "--save", "", "--dir", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as server:
        client = Redis.from_url(f"unix://{door}")
        wait_until(lambda: _answers(client), "redis-server")
        yield f"unix://{door}"
        client.close()
        server.terminate()


def _answers(client: Redis) -> bool:
    try:
        return bool(client.ping())
    except (RedisError, OSError):
        return False


def test_what_was_rendered_is_not_rendered_again_and_what_was_deleted_is(tmp_path: Path) -> None:
    cache, render = opened(FrameCacheSettings(folder=tmp_path / "frames")), Renderer()

    assert cache.picture(KEY, render) == cache.picture(KEY, render) == picture()
    assert render.calls == 1
    shutil.rmtree(tmp_path / "frames")
    assert cache.picture(KEY, render) == picture()
    assert cache.picture(KEY, render) == picture()
    assert render.calls == 2


@pytest.mark.parametrize("damage", [lambda data: data[:-1], lambda data: data[:0], lambda data: data[:-1] + b"?"])
def test_a_damaged_entry_is_never_served_and_is_replaced(tmp_path: Path, damage: object) -> None:
    cache, render = opened(FrameCacheSettings(folder=tmp_path)), Renderer()
    cache.picture(KEY, render)
    (path,) = tmp_path.glob("ab/*")
    assert callable(damage)
    path.write_bytes(damage(path.read_bytes()))

    assert cache.picture(KEY, render) == picture()
    assert render.calls == 2
    assert unpacked(KEY, path.read_bytes()) == picture()


def test_pictures_are_for_their_owner_alone(tmp_path: Path) -> None:
    opened(FrameCacheSettings(folder=tmp_path / "frames")).picture(KEY, Renderer())

    assert {path.stat().st_mode & 0o077 for path in (tmp_path / "frames", *(tmp_path / "frames").rglob("*"))} == {0}


def test_an_entry_under_another_name_is_not_served() -> None:
    assert unpacked(KEY, packed(KEY, picture())) == picture()
    assert unpacked(OTHER, packed(KEY, picture())) is None


def test_each_flipped_bit_of_an_entry_shows() -> None:
    data = packed(KEY, picture())
    for bit in range(len(data) * 8):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        assert unpacked(KEY, bytes(flipped)) is None


def test_a_name_is_of_bytes_and_all_that_was_asked_for() -> None:
    asked = [
        Asked(),
        Asked(Wanted(frame=1)),
        Asked(Wanted(window=1)),
        Asked(Wanted(window="BONE")),
        Asked(Wanted(window=Window(40, 400))),
        Asked(Wanted(window=Window(40, 400, "SIGMOID"))),
        Asked(Wanted(depth=16)),
        Asked(Wanted(overlays=True)),
        Asked(format="webp"),
        Asked(side_px=256),
    ]
    names = {key_of(digest, one) for digest in ("a" * 64, "b" * 64) for one in asked}

    assert len(names) == 2 * len(asked)
    assert key_of("a" * 64, Asked(Wanted(window=Window(40, 400)))) in names


def test_the_folder_keeps_what_was_asked_for_last_within_its_bytes(tmp_path: Path) -> None:
    tier = DiskTier(tmp_path, 10_000)
    names = [f"{number:02x}" * 32 for number in range(50)]
    for name in names:
        tier.put(name, b"x" * 1000)
        assert tier.get(names[0]) is not None
        assert sum(path.stat().st_size for path in tmp_path.glob("*/*")) <= 10_000

    assert tier.get(names[1]) is None
    assert tier.get(names[-1]) is not None
    tier.put(OTHER, b"x" * 10_001)
    assert tier.get(OTHER) is None


def test_a_folder_that_cannot_be_written_costs_nothing_but_time(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    cache, render = opened(FrameCacheSettings(folder=tmp_path / "file")), Renderer()

    assert cache.picture(KEY, render) == cache.picture(KEY, render) == picture()
    assert render.calls == 2


def test_who_asks_at_the_same_time_shares_one_rendering(tmp_path: Path) -> None:
    cache, started, asked = opened(FrameCacheSettings(folder=tmp_path)), threading.Event(), threading.Event()
    calls = []

    def render() -> Rendered:
        calls.append(1)
        started.set()
        assert asked.wait(60)
        return picture()

    with ThreadPoolExecutor(8) as pool:
        first = pool.submit(cache.picture, KEY, render)
        assert started.wait(60)
        others = [pool.submit(cache.picture, KEY, render) for _ in range(7)]
        asked.set()
        assert {future.result().file.data for future in (first, *others)} == {b"picture"}
    assert calls == [1]


def test_what_cannot_be_rendered_is_told_and_asked_again(tmp_path: Path) -> None:
    cache = opened(FrameCacheSettings(folder=tmp_path))

    def render() -> Rendered:
        raise not_rendered("undecodable")

    for _ in range(2):
        with pytest.raises(NotRendered):
            cache.picture(KEY, render)
    assert cache.picture(KEY, Renderer()) == picture()


def test_redis_serves_other_nodes_and_fills_their_disks(tmp_path: Path, redis_url: str) -> None:
    render = Renderer()
    first = opened(FrameCacheSettings(folder=tmp_path / "1", redis_url=redis_url))
    second = opened(FrameCacheSettings(folder=tmp_path / "2", redis_url=redis_url))

    assert first.picture(KEY, render) == second.picture(KEY, render) == picture()
    assert render.calls == 1
    assert DiskTier(tmp_path / "2", 1 << 20).get(KEY) == packed(KEY, picture())
    client = Redis.from_url(redis_url)
    (name,) = client.scan_iter("radstream:frame:*")
    assert client.ttl(name) > 0
    client.set(name, b"damaged")
    third = opened(FrameCacheSettings(redis_url=redis_url))
    assert third.picture(KEY, render) == picture()
    assert client.get(name) == packed(KEY, picture())
    client.close()


def test_a_redis_that_is_away_is_left_alone_and_pictures_are_rendered(tmp_path: Path) -> None:
    cache, render = opened(FrameCacheSettings(redis_url=f"unix://{tmp_path}/nobody")), Renderer()

    assert cache.picture(KEY, render) == cache.picture(KEY, render) == picture()
    assert render.calls == 2


def test_a_redis_that_takes_connections_and_says_nothing_holds_nobody_up(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / "silent"))
        silent.listen()
        cache, render = opened(FrameCacheSettings(redis_url=f"unix://{tmp_path}/silent")), Renderer()

        assert cache.picture(KEY, render) == cache.picture(OTHER, render) == picture()
    assert render.calls == 2


def test_a_url_that_is_none_is_told_without_being_shown() -> None:
    with pytest.raises(ConfigError) as told:
        RedisTier("secret-password@host", 1)
    assert "redis_url" in str(told.value)
    assert "secret" not in str(told.value)


def test_without_tiers_everything_is_rendered() -> None:
    tiers: list[Tier] = []
    render = Renderer()

    assert FrameCache(tiers).picture(KEY, render) == picture()
    assert render.calls == 1


def test_hits_misses_refills_and_damage_are_counted_by_tier(tmp_path: Path) -> None:
    near, far = DiskTier(tmp_path / "near", 1 << 20), DiskTier(tmp_path / "far", 1 << 20)
    far.name = "redis"
    cache, renderer = FrameCache([near, far]), Renderer()
    with Counting() as missed:
        cache.picture(KEY, renderer)
    with Counting() as hit:
        cache.picture(KEY, renderer)
    near.drop(KEY)
    with Counting() as found_further:
        cache.picture(KEY, renderer)
    near.put(KEY, far.get(OTHER) or b"rubbish")
    with Counting() as broken:
        cache.picture(KEY, renderer)
    assert missed.found == {"from rendered": 1, "into disk": 1, "into redis": 1}
    assert hit.found == {"from disk": 1}
    assert found_further.found == {"from redis": 1, "into disk": 1}
    assert broken.found == {"damaged disk": 1, "from redis": 1, "into disk": 1}
    assert renderer.calls == 1


def test_without_a_cache_each_frame_is_a_miss() -> None:
    with Counting() as counting:
        FrameCache([]).picture(KEY, Renderer())
    assert counting.found == {"from rendered": 1}
