"""Titles, addresses, limits and exceptions of the peers file: who is told to go, by which rejection, and why."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.secured import (
    CALLED_AE_NOT_RECOGNIZED,
    CALLING_AE_NOT_RECOGNIZED,
    LOCAL_LIMIT,
    Hospital,
    associate,
    audited,
    echoes,
    hospital,
    known,
    rejection,
    secured,
    trusted,
)
from tests.waiting import wait_until


@pytest.fixture
def site(tmp_path: Path) -> Hospital:
    return hospital(tmp_path)


def test_the_called_title_must_be_ours(site: Hospital) -> None:
    with site.router() as router:
        context = trusted(site, site.scanner())
        assert rejection(secured(router), "CT1", context, called_ae="OLDPACS") == CALLED_AE_NOT_RECOGNIZED
        assert audited(router) == [("association.refused", "CT1", "called_ae")]


def test_nobody_may_send_whom_the_file_does_not_name(site: Hospital) -> None:
    with site.router() as router:
        assert rejection(secured(router), "CT9", trusted(site, site.scanner())) == CALLING_AE_NOT_RECOGNIZED
        assert audited(router) == [("association.refused", "CT9", "calling_ae")]


def test_the_right_certificate_from_another_address_is_not_enough(site: Hospital) -> None:
    site.write_peers(
        known("CT1", 'common_name = "ct1.example"', addresses='["10.20.3.7", "2001:db8::/32"]'),
        known("MR1", 'common_name = "mr1.example"'),
    )
    with site.router() as router:
        assert rejection(secured(router), "CT1", trusted(site, site.scanner())) == CALLING_AE_NOT_RECOGNIZED
        assert audited(router) == [("association.refused", "CT1", "address")]


def test_the_certificate_of_another_ae_title_is_not_enough(tmp_path: Path) -> None:
    site = hospital(tmp_path, known("CT1", 'common_name = "ct1.example"'), known("MR1", 'common_name = "mr1.example"'))
    with site.router() as router:
        assert (
            rejection(secured(router), "CT1", trusted(site, site.scanner("mr1.example"))) == CALLING_AE_NOT_RECOGNIZED
        )
        assert audited(router) == [("association.refused", "CT1", "certificate")]
        assert echoes(secured(router), "MR1", trusted(site, site.scanner("mr1.example")))


def test_a_title_has_no_more_associations_than_it_may_have(site: Hospital) -> None:
    site.write_peers(
        known("CT1", 'common_name = "ct1.example"', "associations_max = 1"), known("MR1", 'common_name = "mr1.example"')
    )
    with site.router() as router:
        context = trusted(site, site.scanner())
        first = associate(secured(router), "CT1", context)
        assert first.is_established
        assert rejection(secured(router), "CT1", context) == LOCAL_LIMIT
        assert echoes(secured(router), "MR1", trusted(site, site.scanner("mr1.example")))
        first.release()
        wait_until(lambda: echoes(secured(router), "CT1", context), "room again")
        assert ("association.refused", "CT1", "limit") in audited(router)


def exception(until: datetime) -> str:
    return known("OLD1", f'plain = {{ address = "127.0.0.1", until = {until:%Y-%m-%d} }}')


def test_an_exception_lets_one_title_in_without_tls_until_its_day_is_over(site: Hospital) -> None:
    site.write_peers(exception(datetime.now(UTC)), known("CT1", 'common_name = "ct1.example"'))
    with site.router() as router:
        assert echoes(router.target, "OLD1")
        assert rejection(router.target, "CT1") == CALLING_AE_NOT_RECOGNIZED
        router.clock.ahead_s = timedelta(days=1).total_seconds()
        assert rejection(router.target, "OLD1") == CALLING_AE_NOT_RECOGNIZED
        refused = [(actor, why) for _, actor, why in audited(router)]
        assert refused == [("CT1", "plain"), ("OLD1", "exception_ended")]


def test_an_exception_is_for_one_address(site: Hospital) -> None:
    site.write_peers(exception(datetime.now(UTC)))
    with site.router() as router:
        assert rejection(router.target, "OLD1", source="127.0.0.2") == CALLING_AE_NOT_RECOGNIZED
        assert audited(router) == [("association.refused", "OLD1", "plain")]


def test_a_peer_of_this_machine_needs_neither_tls_nor_an_exception(site: Hospital) -> None:
    site.write_peers(known("LOCAL"))
    with site.router() as router:
        assert echoes(router.target, "LOCAL")
        assert rejection(router.target, "OTHER") == CALLING_AE_NOT_RECOGNIZED
