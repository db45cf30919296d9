#!/usr/bin/env python3
"""Reads reviews from a shop's HTTP API for the adapter `exec`. Python 3.9, no packages.

The API gives the reviews that changed since a time, the one that changed first first, at most 100 per answer:
GET REVIEWS_URL?since=2026-01-31T12:00:00Z&after=17 -> {"reviews": [{"id": 18, "updated": "...", ...}]}
"""

import http.client
import json
import os
import sys
import urllib.error
import urllib.parse
import urllib.request
from datetime import datetime, timedelta, timezone

LOOK_BACK = timedelta(minutes=2)  # what the shop stored late is found by the next run; repeats do no harm
MAX_ANSWER = 16 << 20


def write(message):
    """Writes one line for the adapter. json.dumps escapes line breaks, so a message is one line."""
    print(json.dumps(message))


def fail(text, **more):
    """Ends the run with an error, which the status page shows."""
    write({"error": text, **more})
    sys.exit(1)


def parse(text):
    try:
        return datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(timezone.utc)
    except (ValueError, OverflowError):
        fail("the shop sent a time that can't be read")


def text_of(time):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")


def fetch(since, after):
    """Returns the reviews behind (since, after). What goes wrong ends the run."""
    query = urllib.parse.urlencode({"since": since, "after": after})
    request = urllib.request.Request(
        os.environ["REVIEWS_URL"] + "?" + query,
        headers={"Authorization": "Bearer " + os.environ["REVIEWS_TOKEN"], "Accept": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            body = answer.read(MAX_ANSWER + 1)
    except urllib.error.HTTPError as err:
        if err.code in (401, 403):  # no waiting will mend that
            fail(f"the shop refuses the token ({err.code}); write a valid one to REVIEWS_TOKEN", stop=True)
        wait = err.headers.get("Retry-After", "")
        fail(f"the shop answers {err.code}", retry_after=int(wait) if wait.isdigit() else 0)
    except (OSError, http.client.HTTPException) as err:
        fail(f"the shop can't be reached: {type(err).__name__}")
    if len(body) > MAX_ANSWER:
        fail("the shop's answer is too large")
    try:
        return json.loads(body)["reviews"]
    except (ValueError, KeyError, TypeError):
        fail("the shop's answer is not a list of reviews")


def interaction(review):
    return {
        "networkItemId": f"review-{review['id']}",
        "message": review["text"],
        "rating": {"value": review["stars"], "scale": 5},
        "createdTime": review["created"],
        "updatedTime": review["updated"],
        "interactor": {"interactorId": f"customer-{review['customer']['id']}", "name": review["customer"]["name"]},
    }


def start(request):
    """Returns the time to read from. The cursor is the time up to which everything was read."""
    if request["cursor"]:
        try:
            cursor = datetime.strptime(request["cursor"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)
            return text_of(min(cursor, datetime.now(timezone.utc)) - LOOK_BACK)
        except (ValueError, OverflowError):
            write({"log": "the cursor is not understood, everything is read again", "level": "warn"})
    return request.get("since", "1970-01-01T00:00:00Z")  # a backfill may have since and until


def main():
    request = json.load(sys.stdin)
    since, after = start(request), 0
    while reviews := fetch(since, after):
        for review in reviews:
            write({"interaction": interaction(review)})
        behind = (reviews[-1]["updated"], reviews[-1]["id"])
        if behind == (since, after):
            fail("the shop repeats itself")
        since, after = behind
        # A review with a date in the future is no mark: it would hide the next ones.
        if past := [at for at in map(parse, (review["updated"] for review in reviews)) if at <= datetime.now(timezone.utc)]:
            write({"cursor": text_of(past[-1])})


main()
