"""Metrics of the gateway name rooms: no path, however long and strange, becomes a label."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.counting import room_of

ROOMS = {
    "search", "instances", "metadata", "pixeldata", "rendered", "thumbnail", "frames", "bulkdata", "store",
    "study", "events", "openapi.json", "static", "viewer",
}  # fmt: skip


@pytest.mark.parametrize(
    ("path", "room"),
    [
        ("/dicomweb/studies", "search"),
        ("/dicomweb/studies/1.2/series/1.3/instances", "search"),
        ("/dicomweb/studies/1.2", "instances"),
        ("/dicomweb/studies/1.2/series/1.3/instances/1.4", "instances"),
        ("/dicomweb/studies/1.2/metadata", "metadata"),
        ("/dicomweb/studies/1.2/series/1.3/instances/1.4/frames/1,2", "frames"),
        ("/dicomweb/studies/1.2/series/1.3/instances/1.4/frames/1/rendered", "rendered"),
        ("/dicomweb/studies/1.2/series/1.3/instances/1.4/bulkdata/00420011", "bulkdata"),
        ("/study/1.2", "study"),
        ("/events", "events"),
        ("/", "viewer"),
        ("/viewer", "viewer"),
        ("/app.bundle.js", "viewer"),
    ],
)
def test_a_path_is_of_a_room(path: str, room: str) -> None:
    assert room_of(path, "GET") == room


def test_what_is_posted_to_dicomweb_is_stored() -> None:
    assert room_of("/dicomweb/studies", "POST") == "store"


@given(
    st.text(alphabet=st.sampled_from("/.1a-dicomwebstudyframes"), max_size=60), st.sampled_from(["GET", "POST", "X"])
)
def test_no_path_is_a_label_of_its_own(path: str, method: str) -> None:
    assert room_of(f"/{path}", method) in ROOMS
    assert room_of(f"/dicomweb/{path}", method) in ROOMS
