"""A C-STORE request whose command says that there is no data set is answered and accounted for, as every other."""

from __future__ import annotations

from tests.raw_peer import RawPeer, p_data, pdv, status_of, store_rq
from tests.routers import running_router

# PS3.7 annex E.1.
_NO_DATA_SET = 0x0101


def test_a_request_without_a_data_set_is_kept_as_what_it_is() -> None:
    with running_router() as router, RawPeer(router.target).associated() as peer:
        peer.send(p_data(pdv(store_rq(data_set_type=_NO_DATA_SET), command=True)))
        answer = peer.read()
        assert answer is not None
        assert status_of(answer) == 0x0000
        (kept,) = router.received()
        assert kept.instance.study_uid == "", "validation says what is missing"
        (key,) = router.originals()
        assert "/unkeyed/" in key
