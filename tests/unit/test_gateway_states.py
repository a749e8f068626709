"""In which state a study is: asked once for all who wait, and always after who wants to know has come."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import cast

import pytest

from gateway.dicomweb.shown import States
from gateway.states import Question
from streams.step import Away


class Asked:
    """A question whose answers a test gives."""

    def __init__(self) -> None:
        self.questions: list[list[str]] = []
        self.answers: asyncio.Queue[dict[str, int] | Exception] = asyncio.Queue()

    async def states(self, _: str, studies: Sequence[str]) -> Mapping[str, int]:
        self.questions.append(sorted(studies))
        answer = await self.answers.get()
        if isinstance(answer, Exception):
            raise answer
        return answer


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def test_who_comes_while_a_question_is_under_way_waits_for_the_next() -> None:
    async def work() -> None:
        catalog = Asked()
        states = States(cast(Question, catalog), "general")
        first = asyncio.ensure_future(states.of("1"))
        await settled()
        late = [asyncio.ensure_future(states.of(uid)) for uid in ("1", "2", "1")]
        await settled()
        assert catalog.questions == [["1"]]
        catalog.answers.put_nowait({"1": 7})
        assert await first == 7
        await settled()
        assert catalog.questions == [["1"], ["1", "2"]]
        assert not any(one.done() for one in late)
        catalog.answers.put_nowait({"1": 8})
        assert await asyncio.gather(*late) == [8, None, 8]

    asyncio.run(work())


def test_one_who_goes_takes_it_from_nobody_and_a_failure_is_everybodys() -> None:
    async def work() -> None:
        catalog = Asked()
        states = States(cast(Question, catalog), "general")
        one, other = asyncio.ensure_future(states.of("1")), asyncio.ensure_future(states.of("1"))
        await settled()
        one.cancel()
        catalog.answers.put_nowait({"1": 7})
        assert await other == 7
        failed = [asyncio.ensure_future(states.of(uid)) for uid in ("1", "2")]
        await settled()
        catalog.answers.put_nowait(Away("the catalog is away"))
        for waiting in failed:
            with pytest.raises(Away):
                await waiting
        again = asyncio.ensure_future(states.of("1"))
        catalog.answers.put_nowait({"1": 9})
        assert await again == 9

    asyncio.run(work())
