"""What schemathesis cannot know of a schema: how some requests are made good, and which refusals of good ones are right."""

import re
import uuid
from datetime import datetime

import schemathesis
from schemathesis.openapi.checks import RejectedPositiveData

# What a schema can say. A request that fits its schema and is refused for one of these shows that the two differ.
SHAPE = re.compile(
    r"must be (an? )?(string|integer|number|object|array|boolean|null|one of|at |-?\d)|must have |is missing|is unknown here|stands there twice|not an id|not a time"
    r"|a slug is|not the name of a header|must be 1 to 255 visible|a request id is|an event type pattern|`\*` may stand|a key is"
)
# Beyond these types of problems, and a 422 that is no matter of shape, no refusal of a good request is right.
RIGHT = {
    "idempotency-key-reused": "the key is good, and was used before",
    "precondition-failed": "the tag is well formed, and not that of the present version",
    "payload-expired": "the event is there, and its body was erased",
}


@schemathesis.hook
def before_call(context, case, kwargs):
    """Only the relay can make cursors, keys of requests are good once, and the end of a span is later than its beginning."""
    headers, query = case.headers or {}, case.query or {}
    if re.fullmatch("[!-~]{1,200}", str(headers.get("idempotency-key", ""))):
        headers["idempotency-key"] = str(uuid.uuid4())
    if len(str(query.get("cursor", ""))) <= 500 and isinstance(query.get("cursor"), str):
        del query["cursor"]
    if is_empty(query.get("after"), query.get("before")):
        del query["before"]


def is_empty(after, before):
    try:
        return datetime.fromisoformat(after) >= datetime.fromisoformat(before)
    except (TypeError, ValueError):
        return False


@schemathesis.hook
def filter_failure(context, failure, case, response):
    """Whether it is one."""
    return not (isinstance(failure, RejectedPositiveData) and is_right(response))


def is_right(response):
    """A 422 may tell of what no schema says: what two fields mean together, what the operator or the present state allows."""
    problem = response.json()
    # The operator's key is sent along, though no token is asked for with it: a client in the body is then a second one.
    if "must authenticate once" in problem.get("error_description", ""):
        return True
    if problem.get("type", "").rpartition(":")[2] in RIGHT:
        return True
    return response.status_code == 422 and not any(SHAPE.match(error["detail"]) for error in problem.get("errors", []))
