#!/usr/bin/env python3
"""Reads reviews from a shop's HTTP API for the adapter `exec`, and answers them. Python 3.9, no packages.

The API gives the reviews that changed since a time, the one that changed first first, at most 100 per answer:
GET REVIEWS_URL?since=2026-01-31T12:00:00Z&after=17 -> {"reviews": [{"id": 18, "updated": "...", ...}]}
Answers of the shop are among them, with "answer_to". Given an action, this program posts one, or hides a review:
POST REVIEWS_URL/17/answers {"text": "..."} -> {"id": 19, "created": "...", ...}, and POST REVIEWS_URL/17/hide
Both take the header Idempotency-Key, and do nothing the second time that they get one key.
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


def request_for(path, body=None, **headers):
    return urllib.request.Request(
        os.environ["REVIEWS_URL"] + path,
        data=body,
        headers={"Authorization": "Bearer " + os.environ["REVIEWS_TOKEN"], "Accept": "application/json", **headers},
    )


def fetch(since, after):
    """Returns the reviews behind (since, after). What goes wrong ends the run."""
    request = request_for("?" + urllib.parse.urlencode({"since": since, "after": after}))
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


def item_id(number):
    return f"review-{number}"


def interaction(review):
    item = {
        "networkItemId": item_id(review["id"]),
        "message": review["text"],
        "createdTime": review["created"],
        "updatedTime": review["updated"],
        "ref": {"id": review["id"]},  # comes back with an action
    }
    if review.get("answer_to"):  # that was us
        return {**item, "own": True, "root": {"rootId": item_id(review["answer_to"])}}
    customer = review["customer"]
    return {
        **item,
        "rating": {"value": review["stars"], "scale": 5},
        "interactor": {"interactorId": f"customer-{customer['id']}", "name": customer["name"]},
    }


def finish(outcome):
    """Says how an action went, and ends the run."""
    write(outcome)
    sys.exit(0)


def order(path, key, body):
    """Asks the shop to do something. What goes wrong ends the run, with what is known of it."""
    headers = {"Content-Type": "application/json", "Idempotency-Key": key}
    try:
        with urllib.request.urlopen(request_for(path, json.dumps(body).encode(), **headers), timeout=30) as answer:
            return json.loads(answer.read(MAX_ANSWER))
    except urllib.error.HTTPError as err:
        if err.code in (401, 403):
            finish({"error": f"the shop refuses the token ({err.code}); write a valid one to REVIEWS_TOKEN", "stop": True})
        if err.code in (404, 410):
            finish({"refused": "The review is not there any more."})
        if err.code in (429, 503):  # nothing was done
            wait = err.headers.get("Retry-After", "")
            finish({"retry": int(wait) if wait.isdigit() else 60, "reason": f"the shop answers {err.code}"})
        finish({"error": f"the shop answers {err.code}"})  # who knows? The key makes it safe to ask again
    except (OSError, ValueError, http.client.HTTPException) as err:
        finish({"error": f"no answer of the shop can be read: {type(err).__name__}"})


def act(action):
    """Does what the team did in SocialHub."""
    number = action.get("ref", {}).get("id")
    if not isinstance(number, int):
        finish({"refused": "It is not known which review that is."})
    if action["type"] == "button":
        order(f"/{number}/hide", action["key"], {})
        finish({"posted": {}})
    if "attachments" in action:
        finish({"refused": "The shop takes no files."})
    answer = order(f"/{number}/answers", action["key"], {"text": action["text"]})
    try:
        number, created = answer["id"], answer["created"]
    except (KeyError, TypeError):
        finish({"error": "no answer of the shop can be read"})
    finish({"posted": {"networkItemId": item_id(number), "createdTime": created, "ref": {"id": number}}})


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
    if "action" in request:
        act(request["action"])
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
