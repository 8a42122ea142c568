"""Somebody saves a snippet while others save templates that include it: nobody waits for each other in a circle, and no
template is left with an older version."""

from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from controlplane.errors import Conflict
from controlplane.prompts import services as prompts
from controlplane.snippets import services
from tests.releases.changing import EDITOR, REASON

BODIES = {
    "coaching_response": '{% include "shared/tone" %}\nAnswer {{ user_message }}, ',
    "kpi_analysis": 'Judge.\n{% include "shared/tone" %}\n',
}
ROUNDS = 3


def test_no_template_is_left_behind_by_a_snippet_that_is_saved_meanwhile(engine: Engine) -> None:
    with Session(engine) as session:
        services.create_snippet(session, code="tone", body="Be kind.\n", reason=REASON, actor=EDITOR)
        session.commit()

    def save_template(code: str) -> None:
        for number in range(ROUNDS):
            with Session(engine) as session:
                prompt = prompts.get_prompt(session, code)
                try:
                    prompts.save_version(
                        session,
                        prompt,
                        body=f"{BODIES[code]}{number}\n",
                        base_version=prompt.versions[0].number,
                        reason=REASON,
                        actor=EDITOR,
                    )
                except Conflict:
                    continue
                session.commit()

    def save_snippet() -> None:
        for number in range(ROUNDS):
            with Session(engine) as session:
                services.save_version(
                    session,
                    services.get_snippet(session, "tone"),
                    body=f"Be kind, {number}.\n",
                    base_version=number + 1,
                    reason=REASON,
                    actor=EDITOR,
                )
                session.commit()

    with ThreadPoolExecutor(3) as threads:
        jobs = [threads.submit(save_snippet), *(threads.submit(save_template, code) for code in BODIES)]
        for job in jobs:
            job.result()

    with Session(engine) as session:
        for code in BODIES:
            latest = prompts.latest_version(session, code)
            assert latest is not None
            assert latest.snippets == {"tone": ROUNDS + 1}
            assert f"Be kind, {ROUNDS - 1}.\n" in latest.text
