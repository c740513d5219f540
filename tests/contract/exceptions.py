"""What schemathesis cannot know of a schema: how some requests are made good, and which refusals of good ones are right."""

import re
import uuid
from datetime import datetime

import schemathesis
from schemathesis.core.failures import MalformedJson
from schemathesis.openapi.checks import MissingContentType, RejectedPositiveData

# What no schema says, by what the answer tells of it. A request that fits its schema and is refused for anything else shows that
# the two differ.
MEANING = {
    "what other requests made, or did not": [
        r"there is no such (destination|source|subscription|event|delivery|credential)$",
        r"has one source in each tenant, which is built in",
        r"never changes, and is `",
        r"is no provider that is known: one of",
        r"cannot be simulated: the provider `",
        r"is no type of events that is known of `",
        r"is nothing that this source looks at",
    ],
    "what two fields mean together": [
        r"cannot be asked together with",
        r"say either `event_id`, or",
        r"must be said for the provider",
        r"has a meaning only where",
        r"means nothing without",
        r"is not of the `status_class`",
        r"spans \d+ buckets, and",
        r"is another than the key in the path",
        r"nothing is after this and before",
        r"must be earlier than `before`",
        r"must be in the years 0 to 9999",
        r"names nothing that has what else is asked for",
        r"must not be less than `payload_d`",
        r"is another secret than",
        r"must be there: `\{ts\}` in `signed` is what it says",
        r"cannot be `signature` unless `signature\.parse` is of the kind `kv`",
        r"must (not occur in `version`|differ from `pair`)",
        r"is missing: a (certificate needs its key|key needs its certificate)$",
        r"is not the key of the client certificate",
        r"must be empty: an answer with status 204 has no body$",
        r"the URL names another host, port or scheme: say what authenticates there",
    ],
    "what time it is, and what the operator allows": [
        r"is in the past",
        r"is longer than the operator keeps it",
        r"is more than two days back",
        r"`.*` is this relay itself",
        r"the URL (must begin with|contains|has|is longer than)",
        r"not a URL: ",
        r"`.*` is not a host name$",
        r".* is in .*, which is not public",
        r"cannot be `enforce` while requests reach the relay from",
    ],
    "small languages, explained where they are used; no regular expression says them and can be read, and the generator says nothing of the names of properties": [
        r"is not the name of a header",
        r"must be the name of a header of at most",
        r"must be a URL of at most",
        r"must name where it stands: `header:NAME`, `json:/pointer`",
        r"is not a place(:| of a time:)",
        r"not an address or network as in",
        r"is none of `body`, `headers`, `query`, `attributes`, `\$and`",
        r"is not a public key that signatures can be checked with",
        r"holds (no certificate in PEM|no private key in PEM|more than 16 certificates|a certificate that cannot be)",
        r"is no media type such as `text/plain`",
        r"is never passed on: ",
        r"has a meaning of its own in HTTP: ",
        r"must be `json:/pointer` or `header:NAME`$",
        r"must name at most \d+ places in all",
        r"has a name that is not 1 to \d+ of a-z, 0-9 and _$",
        r"stands there twice, in another case$",
        r"cannot be set(: HTTP itself|here: set the destination's `auth`)",
        r"is not the value of a header: |has an unknown gap |has a brace that stands alone: ",
        r"is not a template: ",
        r"must be the name and value of a header$",
        r"is no status from 300 to 599 such as",
        r"must demand something; leave the filter out",
        r"the first wait of a retry schedule must be 0: ",
        r"wait \d+ of the retry schedule is longer than 7 days",
        r"must have no spaces; `Bearer ` is put before it$",
        r"must be visible ASCII characters and spaces$",
        r"must contain `\{(body|ts)\}`",
        r"must be the http or https URL that the provider was given, without its query$",
        r"is a claim with another meaning",
        r"must have a text between any two parts of the request: ",
        r"must be 1 to \d+ (punctuation characters or spaces|bytes|bytes without control characters)$",
        r"must be a JSON pointer of at most \d+ bytes",
        r"must be at most \d+ bytes and \d+ parts$",
        r"must not contain what separates pairs$",
        r"must name each pair once$",
    ],
    "characters that no header or database takes, said in the description of the document": [
        r"must not contain the character U\+0000",
        r"must not contain a colon or a control character",
        r"must not contain control characters",
        r"must be visible ASCII characters, with no space at either end",
        r"must not begin or end with a space, nor contain a control character",
    ],
}
UNSAID = re.compile("|".join(pattern for patterns in MEANING.values() for pattern in patterns))
# Beyond these types of problems, and a 422 for what no schema says, no refusal of a good request is right.
RIGHT = {
    "idempotency-key-reused": "the key is good, and was used before",
    "precondition-failed": "the tag is well formed, and not that of the present version",
    "payload-expired": "the event is there, and its body was erased",
}


@schemathesis.hook
def before_call(context, case, kwargs):
    """Only the relay can make cursors and ids of a stream, keys of requests are good once, and the end of a span is later than its beginning."""
    headers, query = case.headers or {}, case.query or {}
    if re.fullmatch("[!-~]{1,200}", str(headers.get("idempotency-key", ""))):
        headers["idempotency-key"] = str(uuid.uuid4())
    if len(str(query.get("cursor", ""))) <= 500 and isinstance(query.get("cursor"), str):
        del query["cursor"]
    headers.pop("last-event-id", None)
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
    if isinstance(failure, (MissingContentType, MalformedJson)) and is_own_and_empty(case, response):
        return False
    return not (isinstance(failure, RejectedPositiveData) and is_right(response))


def is_own_and_empty(case, response):
    """A source may have an answer of its own, with a body or without one (`response`): a document can say that there is some kind of
    content, or that there is none, and not that there may be none."""
    return case.operation.path.startswith("/in/") and 200 <= response.status_code < 300 and not response.content


def is_right(response):
    """Whether a good request may be refused so."""
    problem = response.json()
    # The operator's key is sent along, though no token is asked for with it: a client in the body is then a second one.
    if "must authenticate once" in problem.get("error_description", ""):
        return True
    if problem.get("type", "").rpartition(":")[2] in RIGHT:
        return True
    errors = problem.get("errors", [])
    return response.status_code == 422 and bool(errors) and all(UNSAID.match(error["detail"]) for error in errors)
