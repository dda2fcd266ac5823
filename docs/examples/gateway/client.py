"""Example of an authorisation system that asks the gateways of Sluice about a payment. It needs api.py and nothing else.

GATEWAY_URLS=http://127.0.0.1:9482 GATEWAY_TOKEN=... python3 client.py < payment.json
"""

import http.client
import json
import os
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from typing import Literal, TypedDict

from api import Problem, ScoreAnswer, Transaction

Action = Literal["none", "flag", "block"]


class Scored(TypedDict):
    # What to do with the payment: refuse it on "block".
    action: Action
    # None when no gateway answered in time.
    answer: ScoreAnswer | None


# What the next gateway may answer better: too many requests, not ready, or a proxy without a gateway behind it.
ASK_THE_NEXT = frozenset({429, 502, 503, 504})


def score(
    payment: Transaction,
    urls: Sequence[str],
    token: str,
    deadline_ms: int,
    otherwise: Action,
) -> Scored:
    """Asks one gateway after the other, and returns `otherwise` when none answers in time.

    The id of the payment is the idempotency key: a payment that is asked about twice is decided once.
    Raises ValueError when a gateway refuses the request, with what is wrong with it.
    """
    end_s = time.monotonic() + deadline_ms / 1000
    for url in urls:
        left_ms = int((end_s - time.monotonic()) * 1000)
        if left_ms < 1:
            break
        request = urllib.request.Request(
            f"{url}/v1/score?deadlineMs={left_ms}",
            data=json.dumps(payment).encode(),
            headers={
                "Authorization": f"Bearer {token}",
                "Content-Type": "application/json",
            },
        )
        try:
            # The time-out holds for each wait for the gateway, which answers at once at its deadline.
            with urllib.request.urlopen(request, timeout=left_ms / 1000) as response:
                answer: ScoreAnswer = json.load(response)
        except urllib.error.HTTPError as refusal:
            if refusal.code in ASK_THE_NEXT:
                continue
            problem: Problem = json.load(refusal)
            field = problem.get("field", "request")
            raise ValueError(f"{field}: {problem['detail']}") from None
        except (OSError, http.client.HTTPException, json.JSONDecodeError):
            # No connection, no whole answer, or no time left.
            continue
        return {"action": answer["action"], "answer": answer}
    return {"action": otherwise, "answer": None}


def main() -> None:
    scored = score(
        json.load(sys.stdin),
        urls=os.environ.get("GATEWAY_URLS", "http://127.0.0.1:9482").split(","),
        token=os.environ.get("GATEWAY_TOKEN", ""),
        deadline_ms=int(os.environ.get("DEADLINE_MS", "100")),
        otherwise="none",
    )
    print(json.dumps(scored))


if __name__ == "__main__":
    main()
