//! The ways in which providers prove themselves, and where in a request the proof stands.

/// Where a scheme's proof stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Proofs {
    /// The headers that hold signatures or secrets; none if the body does.
    pub(super) headers: &'static [&'static str],
    /// Whether nobody else can change the body.
    pub(super) body_is_signed: bool,
}

/// Every scheme that a provider was promised to be verified by.
pub(super) const SCHEMES: [(&str, Proofs); 36] = [
    ("standard-webhooks-v1", of_body(&["webhook-signature"])),
    ("standard-webhooks-v1a", of_body(&["webhook-signature"])),
    ("svix", of_body(&["svix-signature"])),
    ("stripe", of_body(&["stripe-signature"])),
    ("github", of_body(&["x-hub-signature-256"])),
    ("bitbucket-cloud", of_body(&["x-hub-signature"])),
    ("gitlab-token", of_sender(&["x-gitlab-token"])),
    ("gitlab-signing-token", of_body(&["webhook-signature"])),
    ("shopify", of_body(&["x-shopify-hmac-sha256"])),
    ("slack", of_body(&["x-slack-signature"])),
    ("twilio-form", of_body(&["x-twilio-signature"])),
    ("twilio-json", of_body(&["x-twilio-signature"])),
    ("square", of_body(&["x-square-hmacsha256-signature"])),
    ("paddle-billing", of_body(&["paddle-signature"])),
    ("paypal", of_body(&["paypal-transmission-sig"])),
    ("zoom", of_body(&["x-zm-signature"])),
    ("linear", of_body(&["linear-signature"])),
    ("intercom", of_body(&["x-hub-signature"])),
    ("mailgun", of_sender(&[])),
    ("sendgrid-event", of_body(&["x-twilio-email-event-webhook-signature"])),
    ("twitch-eventsub", of_body(&["twitch-eventsub-message-signature"])),
    ("discord", of_body(&["x-signature-ed25519"])),
    ("meta", of_body(&["x-hub-signature-256"])),
    ("onfido", of_body(&["x-sha2-signature"])),
    ("sumsub", of_body(&["x-payload-digest"])),
    ("veriff", of_body(&["x-hmac-signature"])),
    ("persona", of_body(&["persona-signature"])),
    ("ondato", of_sender(&["authorization"])),
    ("hookdeck", of_body(&["x-hookdeck-signature", "x-hookdeck-signature-2"])),
    ("vercel", of_body(&["x-vercel-signature"])),
    ("woocommerce", of_body(&["x-wc-webhook-signature"])),
    ("webflow", of_body(&["x-webflow-signature"])),
    ("x-twitter", of_body(&["x-twitter-webhooks-signature"])),
    ("generic-basic", of_sender(&["authorization"])),
    ("generic-bearer-or-header", of_sender(&["authorization", "x-api-key"])),
    // Of the body only where a claim of the token says so.
    ("generic-jwt", of_sender(&["authorization", "x-fusionauth-signature-jwt"])),
];

pub(super) fn proofs(scheme: &str) -> Proofs {
    let found = SCHEMES.iter().find(|(name, _)| *name == scheme);
    found.unwrap_or_else(|| panic!("no scheme is called {scheme}")).1
}

const fn of_body(headers: &'static [&'static str]) -> Proofs {
    Proofs { headers, body_is_signed: true }
}

const fn of_sender(headers: &'static [&'static str]) -> Proofs {
    Proofs { headers, body_is_signed: false }
}
