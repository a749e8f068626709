"""The study page of the running stack: what it shows, what it takes, and what it refuses."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator

import pytest
import requests

from gateway.config import Settings
from radstream.phantom import chest_ct, encoded
from radstream.sending import send_items
from tests.commands import facts
from tests.pipeline_run import router_of, settled
from tests.running_stack import RunningStack
from tests.waiting import wait_until

pytestmark = pytest.mark.stack

SEED, SLICES, MATRIX = 81, (2, 10, 10), 64


@pytest.fixture(scope="module")
def root(stack: RunningStack) -> str:
    settings = stack.config.section("gateway", Settings)
    return f"http://{settings.host}:{settings.port}"


@pytest.fixture(scope="module")
def study_uid(stack: RunningStack) -> str:
    items = list(encoded(SEED, SLICES, matrix=MATRIX))
    # With a revision more, which a pause of a slow machine makes, results are superseded.
    with stack.patient():
        assert send_items(items, router_of(stack)).statuses == {"0000": len(items)}
        settled(stack)
    return str(next(iter(chest_ct(SEED, SLICES, MATRIX))).StudyInstanceUID)


def page(root: str, study_uid: str) -> str:
    answer = requests.get(f"{root}/study/{study_uid}", timeout=60)
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    return answer.text


def form_of(stack: RunningStack, study_uid: str) -> dict[str, str]:
    """A review of the first result that has a finding."""
    result = next(one for one in facts(stack, "study", study_uid)["results"] if one["findings"])
    finding = result["findings"][0]["finding_id"]
    return {"result": result["event_id"], "finding": finding, "verdict": "rejected", "reviewer": "dr.page"}


def post(root: str, study_uid: str, form: dict[str, str], origin: str | None = None) -> requests.Response:
    return requests.post(
        f"{root}/study/{study_uid}/reviews",
        data=form,
        headers={"Origin": origin or root},
        allow_redirects=False,
        timeout=60,
    )


def test_the_page_shows_patient_series_results_and_copies(stack: RunningStack, root: str, study_uid: str) -> None:
    text, told = page(root, study_uid), facts(stack, "study", study_uid)
    assert f"PHANTOM-{SEED}" in text
    for series in told["series"]:
        # Reports have no picture.
        has_picture = f"/series/{series['series_uid']}/thumbnail" in text
        assert has_picture or series["modality"] != "CT"
        assert not has_picture or series["modality"] != "SR"
    for result in told["results"]:
        assert result["event_id"] in text
        assert f"{result['model_name']} {result['model_version']}" in text
    # Each result says it, and each series that was made of one.
    made = [one for one in told["series"] if one["result"]]
    assert text.count("AI, not reviewed") == len(told["results"]) + len(made)
    assert {one["modality"] for one in made} >= {"SR"}
    assert all(one["description"].startswith("AI, not reviewed: ") for one in made)
    assert f"/viewer?StudyInstanceUIDs={study_uid}" in text


def test_a_review_from_the_page_is_that_of_the_command(stack: RunningStack, root: str, study_uid: str) -> None:
    form = form_of(stack, study_uid) | {"note": "no <b>nodule</b>\r\nseen"}
    answer = post(root, study_uid, form)
    assert (answer.status_code, answer.headers["location"]) == (303, f"/study/{study_uid}#{form['result']}")

    def review() -> dict[str, str] | None:
        found = {one["event_id"]: one for one in facts(stack, "study", study_uid)["results"]}[form["result"]]
        return {one["finding_id"]: one["review"] for one in found["findings"]}[form["finding"]] or None

    said = wait_until(review, "the review in the catalog")
    assert (said["verdict"], said["reviewer"], said["note"]) == ("rejected", "dr.page", "no <b>nodule</b>\nseen")
    text = page(root, study_uid)
    assert "rejected by dr.page" in text
    # What a person wrote is text.
    assert "no &lt;b&gt;nodule&lt;/b&gt;" in text


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"verdict": "maybe"}, 400),
        ({"reviewer": "Doe, Jane"}, 400),
        ({"note": "x" * 4001}, 400),
        ({"finding": "none"}, 404),
        ({"result": "0" * 8}, 404),
        ({"result": "\0"}, 404),
    ],
)
def test_what_cannot_be_said_is_refused(
    stack: RunningStack, root: str, study_uid: str, change: dict[str, str], status: int
) -> None:
    answer = post(root, study_uid, form_of(stack, study_uid) | change)
    assert answer.status_code == status
    assert "Doe" not in answer.text


def test_a_page_of_another_site_sends_nothing(stack: RunningStack, root: str, study_uid: str) -> None:
    form = form_of(stack, study_uid)
    assert post(root, study_uid, form, origin="https://evil.example").status_code == 403
    without = requests.post(f"{root}/study/{study_uid}/reviews", data=form, timeout=60)
    assert without.status_code == 403


def test_a_study_that_is_not_there_says_so(root: str) -> None:
    assert requests.get(f"{root}/study/1.2.3.4.5", timeout=60).status_code == 404
    assert requests.get(f"{root}/study/not-a-uid", timeout=60).status_code == 400


def test_who_listens_hears_of_a_review(stack: RunningStack, root: str, study_uid: str) -> None:
    with requests.get(f"{root}/events", params={"study": study_uid}, stream=True, timeout=300) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        lines = stream.iter_lines(decode_unicode=True)
        # Its place: from here on it hears everything.
        assert any(re.match("id: ", line) for line in _until_blank(lines, 2))
        form = form_of(stack, study_uid)
        sending = threading.Thread(target=lambda: post(root, study_uid, form | {"verdict": "confirmed"}))
        sending.start()
        heard = next(line for line in lines if line.startswith("event: review"))
        sending.join()
        assert heard == "event: review"
        assert form["result"] in next(line for line in lines if line.startswith("data: "))


def _until_blank(lines: Iterator[str], blanks: int) -> list[str]:
    found: list[str] = []
    while blanks:
        line = next(lines)
        found.append(line)
        blanks -= not line
    return found
