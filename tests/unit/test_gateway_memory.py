"""What requests of the gateway hold in memory: bounded, shared, waited for, and given back."""

from __future__ import annotations

import asyncio

import pytest

from gateway.memory import Memory, Share
from gateway.problem import Problem

SOON_S, LATE_S = 0.02, 30.0


def test_what_there_is_no_room_for_is_refused_in_time_and_told_when_to_come_back() -> None:
    async def asked() -> Problem:
        memory = Memory(100, SOON_S)
        await memory.take("a", 50)
        await memory.take("b", 40)
        with pytest.raises(Problem) as refused:
            await memory.take("c", 11)
        assert memory.taken == 90
        return refused.value

    refused = asyncio.run(asked())
    assert (refused.status, int(refused.headers["retry-after"]) > 0) == (503, True)


def test_one_client_has_half_of_it_and_the_others_the_rest() -> None:
    async def asked() -> None:
        memory = Memory(100, SOON_S)
        await memory.take("a", 50)
        with pytest.raises(Problem):
            await memory.take("a", 1)
        await memory.take("b", 50)

    asyncio.run(asked())


def test_what_is_larger_than_a_part_goes_alone() -> None:
    async def asked() -> None:
        memory = Memory(100, SOON_S)
        await memory.take("a", 500)
        with pytest.raises(Problem):
            await memory.take("b", 1)
        memory.give("a", 500)
        await memory.take("b", 1)
        with pytest.raises(Problem):
            await memory.take("a", 500)

    asyncio.run(asked())


def test_who_waits_goes_on_when_another_has_given_back() -> None:
    async def asked() -> int:
        memory = Memory(100, LATE_S)
        await memory.take("a", 50)
        waiting = [asyncio.create_task(memory.take("a", 25)) for _ in range(2)]
        await asyncio.sleep(0)
        assert not any(task.done() for task in waiting)
        memory.give("a", 50)
        await asyncio.gather(*waiting)
        return memory.taken

    assert asyncio.run(asked()) == 50


def test_a_request_that_ends_has_given_back_whatever_it_took() -> None:
    async def asked() -> int:
        memory = Memory(100, SOON_S)
        share = Share(memory, "a")

        async def made() -> bytes:
            assert memory.taken == 40
            return b"0123456789"

        assert await share.made(40, made) == b"0123456789"
        assert memory.taken == 10
        async with share.room(20):
            assert memory.taken == 30
        share.close()
        share.close()
        return memory.taken

    assert asyncio.run(asked()) == 0
