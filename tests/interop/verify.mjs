// Whether deliveries are verified by the reference library of Standard Webhooks for JavaScript.
//
// Each line read is a question, `{"key", "headers", "body"}` with the body in base64. Each line written is an answer:
// "verified", or why not.
//
// No reference library verifies v1a, so for a public key (`whpk_…`) this does what the standard says, with node's crypto.

import { createPublicKey, verify } from "node:crypto";
import { createInterface } from "node:readline";
import { Webhook, WebhookVerificationError } from "standardwebhooks";

const PUBLIC_KEY = "whpk_";
const TOLERANCE_S = 5 * 60;

function verdict({ key, headers, body }) {
  const bytes = Buffer.from(body, "base64");
  try {
    if (key.startsWith(PUBLIC_KEY)) {
      verifyV1a(key, headers, bytes);
    } else {
      new Webhook(key).verify(bytes, headers);
    }
  } catch (error) {
    if (error instanceof WebhookVerificationError) return error.message;
    throw error;
  }
  return "verified";
}

function verifyV1a(key, headers, body) {
  const x = Buffer.from(key.slice(PUBLIC_KEY.length), "base64").toString("base64url");
  const publicKey = createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x }, format: "jwk" });
  const sentAt = headers["webhook-timestamp"];
  const ageS = Date.now() / 1000 - Number(sentAt);
  if (Math.abs(ageS) > TOLERANCE_S) {
    throw new WebhookVerificationError(`Message timestamp too ${ageS > 0 ? "old" : "new"}`);
  }
  const signed = Buffer.concat([Buffer.from(`${headers["webhook-id"]}.${sentAt}.`), body]);
  const items = headers["webhook-signature"].split(" ").map((item) => item.split(","));
  const isRight = ([version, signature]) =>
    version === "v1a" && verify(null, signed, publicKey, Buffer.from(signature, "base64"));
  if (!items.some(isRight)) throw new WebhookVerificationError("No matching signature found");
}

for await (const line of createInterface({ input: process.stdin })) {
  console.log(verdict(JSON.parse(line)));
}
