"""`radstream reconcile` on the running stack: an object without an event becomes an image of the catalog."""

from __future__ import annotations

import hashlib
import json
import secrets
from typing import Any

import pytest
from click.testing import CliRunner, Result

from radstream.__main__ import cli
from streams.config import Site, Store
from streams.events import ObjectRef
from streams.identity import original_key
from streams.s3 import S3Store
from streams.step import NewObject
from streams.stored_file import stored_file
from tests.pipeline_run import settled
from tests.routers import EXPLICIT, Ct
from tests.running_stack import RunningStack
from tests.waiting import wait_until

pytestmark = pytest.mark.stack


def run(stack: RunningStack, *arguments: str) -> Result:
    return CliRunner().invoke(cli, [*arguments, "--config", str(stack.config_path)])


def reconciled(stack: RunningStack, *arguments: str) -> tuple[int, dict[str, str], Any]:
    """The exit code, the kind of each difference that is named, and the whole document."""
    done = run(stack, "reconcile", "--older-than", "0s", "--json", *arguments)
    found = json.loads(done.stdout)
    return done.exit_code, {one["key"]: one["kind"] for one in found["named"]}, found


def put(stack: RunningStack, image: Ct, data: bytes | None = None) -> str:
    """The object of an image as a router leaves it that dies before the event; its key."""
    whole = stored_file(image.sop_class, image.instance, EXPLICIT, image.data_set())
    tenant = stack.config.section("site", Site).tenant
    digest = hashlib.sha256(whole).hexdigest()
    key = original_key(tenant, image.study, image.series, image.instance, digest)
    store = S3Store(stack.config.section("store", Store))
    assert store.create(NewObject(tenant, "hot", key, whole if data is None else data)).created
    return key


def remove(stack: RunningStack, key: str) -> None:
    """Exactly the version that is there, so that no other test meets it."""
    store, tenant = S3Store(stack.config.section("store", Store)), stack.config.section("site", Site).tenant
    (listed,) = store.listed("hot", key)
    ref = ObjectRef(tenant=tenant, store="hot", key=key, version_id=listed.version_id, length=0, size=0, sha256="")
    assert store.delete(ref)


def test_what_a_crash_left_without_an_event_is_named_then_published_and_in_the_catalog(stack: RunningStack) -> None:
    # What others sent has its events by now: with no age asked for, what is on its way counts as lost.
    settled(stack)
    study = f"2.25.{secrets.randbits(96)}"
    image = Ct(study=study, series=f"{study}.1", instance=f"{study}.1.1")
    torn = Ct(study=study, series=f"{study}.1", instance=f"{study}.1.2")
    whole, damaged, empty = put(stack, image), put(stack, torn, b"half"), put(stack, Ct(study=study), b"")

    code, kinds, _ = reconciled(stack)
    assert code == 1
    expected = {whole: "unpublished", damaged: "damaged", empty: "damaged"}
    assert {key: kinds.get(key) for key in expected} == expected
    assert "radstream reconcile tells which" in " ".join(run(stack, "status").stdout.split())
    code, kinds, _ = reconciled(stack, "--publish")
    assert (code, kinds[whole], kinds[damaged]) == (1, "published", "damaged")

    def shown() -> bool:
        done = run(stack, "study", study, "--json")
        return done.exit_code == 0 and bool(json.loads(done.stdout)["series"])

    wait_until(shown, "the study in the catalog")
    code, kinds, found = reconciled(stack, "--publish")
    assert (code, whole in kinds, kinds[damaged]) == (1, False, "damaged")
    assert found["differences"].get("published", 0) == 0

    later = run(stack, "reconcile", "--json")
    assert json.loads(later.stdout)["counts"]["in_flight"] >= 2, "what is young may be on its way"
    for key in (damaged, empty):
        remove(stack, key)
    assert damaged not in reconciled(stack)[1], "as the guide says what to do about it"


def test_what_cannot_be_compared_is_said_with_an_exit_code_of_its_own(stack: RunningStack) -> None:
    done = CliRunner().invoke(cli, ["reconcile", "--config", str(stack.home / "none.toml")])
    assert done.exit_code == 2
    assert "none.toml" in done.stderr
