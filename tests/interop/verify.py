"""Whether deliveries are verified by the reference library of Standard Webhooks for Python.

Each line read is a question, `{"key", "headers", "body"}` with the body in base64. Each line written is an answer:
"verified", or why not.

No reference library verifies v1a, so for a public key (`whpk_…`) this does what the standard says, with `cryptography`.
"""

import base64
import json
import sys
import time

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from standardwebhooks import Webhook, WebhookVerificationError

PUBLIC_KEY = "whpk_"
TOLERANCE_S = 5 * 60


def verdict(key, headers, body):
    try:
        if key.startswith(PUBLIC_KEY):
            verify_v1a(key, headers, body)
        else:
            Webhook(key).verify(body, headers)
    except WebhookVerificationError as error:
        return str(error)
    return "verified"


def verify_v1a(key, headers, body):
    public_key = Ed25519PublicKey.from_public_bytes(base64.b64decode(key.removeprefix(PUBLIC_KEY), validate=True))
    sent_at = headers["webhook-timestamp"]
    age_s = time.time() - int(sent_at)
    if abs(age_s) > TOLERANCE_S:
        raise WebhookVerificationError(f"Message timestamp too {'old' if age_s > 0 else 'new'}")
    signed = f"{headers['webhook-id']}.{sent_at}.".encode() + body
    for item in headers["webhook-signature"].split(" "):
        version, signature = item.split(",")
        if version == "v1a" and is_signature(public_key, base64.b64decode(signature, validate=True), signed):
            return
    raise WebhookVerificationError("No matching signature found")


def is_signature(public_key, signature, signed):
    try:
        public_key.verify(signature, signed)
    except InvalidSignature:
        return False
    return True


for line in sys.stdin:
    question = json.loads(line)
    print(verdict(question["key"], question["headers"], base64.b64decode(question["body"])))
