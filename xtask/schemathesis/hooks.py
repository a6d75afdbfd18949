"""Puts ids of what there is into half of the requests with ids that are made
up: those of nothing are answered before anything of interest happens. Which
half is read off the made up id, so that a seed gives the same requests."""

import json
import os
import re

import schemathesis
from schemathesis.core.parameters import ParameterLocation

LIVE = json.loads(os.environ["WRIT_LIVE"])
ID = re.compile(r"^[a-z]{3}_(?:[0-9a-f]{32}|[0-9a-f]{64})$")
UNKNOWN = "x-schemathesis-unknown-property"
DIGEST = re.compile(r"^[0-9a-f]{64}$")


def is_chosen(text):
    return int(text[-1], 16) % 2 == 0


def live(value, known):
    """The live value in place of a made up one of the same form."""
    is_one = isinstance(value, str) and (ID.match(value) or DIGEST.match(value))
    if is_one and known and is_chosen(value):
        return known
    return value


def decisions(body):
    """Those of a body that holds several."""
    found = body.get("decisions")
    found = found if isinstance(found, list) else []
    return [each for each in found if isinstance(each, dict)]


def is_right(case):
    """Whether the request was made to be right."""
    return case.meta is None or not case.meta.generation.mode.is_negative


def has_right_query(case):
    """Whether nothing is wrong with what is asked for. An empty list is not sent."""
    is_wrong = case.meta and case.meta.is_negative_at(ParameterLocation.QUERY)
    return not is_wrong or [] in (case.query or {}).values()


@schemathesis.hook
def before_call(context, case, kwargs):
    # Nobody can make up a cursor: it is writ's own word for where a page
    # begins. Those that are wrong are still sent.
    if is_right(case) and case.query:
        case.query.pop("cursor", None)
    # A stream is waited for until it has an event: from the beginning, and all
    # of them. `/v1/ledger/entries` takes the same filters.
    if case.operation.path == "/v1/events" and has_right_query(case):
        case.query = {"after": 0}
        case.headers.pop("Last-Event-ID", None)
    # Nobody can make up a signature either. What is wrong about one is looked
    # for by the tests of signed decisions.
    if is_right(case) and isinstance(case.body, dict):
        for decision in [case.body, *decisions(case.body)]:
            decision.pop("signed", None)
    # The phase of coverage sends `"0"` without its quotes.
    if is_right(case) and case.headers:
        version = case.headers.get("If-Match", "")
        if version.isdigit():
            case.headers["If-Match"] = f'"{version}"'
    words = case.operation.path.split("/")
    noun = words[2] if len(words) > 2 else ""
    for name in ("id", "tenant"):
        if name in (case.path_parameters or {}):
            known = LIVE.get("tenants" if name == "tenant" else noun)
            case.path_parameters[name] = live(case.path_parameters[name], known)
    if isinstance(case.body, dict) and "digest" in case.body:
        case.body["digest"] = live(case.body["digest"], LIVE.get("digest"))


@schemathesis.hook
def filter_failure(context, failure, case, response):
    """A header that is not known is ignored, as HTTP wants it (RFC 9110, 5.1)."""
    return not (UNKNOWN in (case.headers or {}) and 200 <= response.status_code < 300)
