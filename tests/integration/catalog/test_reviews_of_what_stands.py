"""A page that was opened before has forms of results that do not stand any more: nobody confirms one unawares."""

from __future__ import annotations

import requests

from streams.events import ReviewEvent
from tests.catalogs import projected, rows
from tests.event_streams import Hospital, inputs, new_log, night, partitions_of, write
from tests.gateways import Client, running_gateway

RESULTS = """
SELECT i.study_uid, i.event_id::text FROM inferences i
WHERE {} (SELECT FROM standing_inferences s WHERE s.tenant = i.tenant AND s.event_id = i.event_id)
ORDER BY 2
"""


def sent(client: Client, study_uid: str, result: str) -> requests.Response:
    root = client.root.removesuffix("/dicomweb")
    form = {"result": result, "verdict": "confirmed", "reviewer": "dr.late"}
    address = f"{root}/study/{study_uid}/reviews"
    return client.post(address, form, headers={"origin": root}, allow_redirects=False, timeout=120)


def test_what_stands_is_reviewed_and_nothing_else(dsn: str) -> None:
    hospital, log = Hospital(), new_log()
    write(log, night(hospital))
    projected(dsn, log, hospital)
    gone, stands = rows(dsn, RESULTS.format("NOT EXISTS")), rows(dsn, RESULTS.format("EXISTS"))
    assert gone
    with running_gateway(dsn, log, hospital.store) as client:
        for study_uid, result in gone:
            answer = sent(client, study_uid, result)
            assert (answer.status_code, "does not stand any more" in answer.json()["title"]) == (409, True)
        assert sent(client, *stands[0]).status_code == 303
    said = [item.event for name in partitions_of(log) for item in inputs(log, name)]
    mine = [one for one in said if isinstance(one, ReviewEvent) and one.reviewer == "dr.late"]
    assert [one.result_event_id for one in mine] == [stands[0][1]]
