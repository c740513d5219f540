//! The token endpoint, described by hand: it takes a form, and its errors are those of its own RFC.

use serde_json::{Value, json};

pub(super) use crate::oauth::PATH;

pub(super) fn operations() -> Value {
    let refused = |description: &str| {
        json!({"description": description, "content": {"application/json": {"schema": {
            "type": "object", "required": ["error"],
            "properties": {"error": {"type": "string"}, "error_description": {"type": "string"}}
        }}}})
    };
    let text = |description: &str| json!({"type": "string", "description": description});
    json!({"post": {
        "operationId": "issue_token",
        "tags": ["receiving"],
        "summary": "Issue an access token to a provider",
        "description": "RFC 6749, 4.4: the client credentials grant. The client is a credential of the kind `oauth2_client`; it authenticates in the header (`Authorization: Basic`) or in the body. The token opens the URL of the credential's source, in `Authorization: Bearer`. Earlier tokens stay good.",
        "requestBody": {"required": true, "content": {"application/x-www-form-urlencoded": {"schema": {
            "type": "object", "required": ["grant_type"],
            "properties": {
                "grant_type": {"type": "string", "enum": ["client_credentials"]},
                "client_id": text("Where the client does not authenticate in the header."),
                "client_secret": text("Where the client does not authenticate in the header."),
                "scope": text("Ignored.")
            }
        }}}},
        "responses": {
            "200": {"description": "A token.", "content": {"application/json": {"schema": {
                "type": "object", "required": ["access_token", "token_type", "expires_in"],
                "properties": {
                    "access_token": {"type": "string"},
                    "token_type": {"type": "string", "enum": ["Bearer"]},
                    "expires_in": {"type": "integer", "description": "Seconds."}
                }
            }}}},
            "400": refused("The request is not one for a token: RFC 6749, 5.2."),
            "401": refused("`invalid_client`: unknown, ended, or another secret."),
            "405": refused("Tokens are asked for with POST."),
            "429": refused("More requests than are answered. Ask again after `retry-after` seconds."),
            "503": refused("Not now. Ask again after `retry-after` seconds.")
        },
        "security": []
    }})
}
