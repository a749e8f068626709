"""The study page in a browser: a review from a phone, and the page of somebody else who looks at the same study."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, Page, expect

from radstream.phantom import Study
from tests.browser.conftest import DEADLINE_MS, Shoot
from tests.commands import facts
from tests.running_stack import RunningStack

pytestmark = pytest.mark.stack

PHONE_PX = 390


def test_a_review_from_a_phone_is_shown_to_all_who_look(
    stack: RunningStack, browser: Browser, page: Page, root: str, study: Study, shoot: Shoot
) -> None:
    result = next(one for one in facts(stack, "study", study.uid)["results"] if one["findings"])
    place = f"article[id='{result['event_id']}']"
    with page.expect_request("**/events?study=*"):
        page.goto(f"/study/{study.uid}")
    other = page.locator(place)
    expect(other).to_contain_text("AI, not reviewed")
    with browser.new_context(base_url=root, viewport={"width": PHONE_PX, "height": 844}, is_mobile=True) as context:
        context.set_default_timeout(DEADLINE_MS)
        with context.new_page() as phone:
            phone.goto(f"/study/{study.uid}")
            assert phone.evaluate("document.documentElement.scrollWidth") == PHONE_PX
            shoot(phone, "study-page")
            mine = phone.locator(place)
            mine.get_by_text("Confirm, reject or modify").click()
            mine.get_by_label("About").select_option(result["findings"][0]["finding_id"])
            mine.get_by_label("confirmed").check()
            mine.get_by_label("Your account").fill("dr.phone")
            mine.get_by_role("button", name="Send").click()
            said = "confirmed by dr.phone"
            expect(mine).to_contain_text(said)
            expect(mine).not_to_contain_text("not reviewed")
    # Nobody loads it anew.
    expect(other).to_contain_text(said)
    expect(other).not_to_contain_text("not reviewed")
