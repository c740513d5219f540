//! What a token endpoint says (RFC 6749, 5.1 and 5.2).

use std::time::Duration;

use relay::egress::Response;
use relay::header;
use secrecy::SecretString;
use serde_json::Value;

/// A token, and for how long it is used.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) token: SecretString,
    pub(super) lifetime: Duration,
}

/// Where the endpoint does not say how long a token is good.
const UNSAID: Duration = Duration::from_mins(5);
/// A token is given up so long before its end, or at a tenth of its life if that is longer: clocks differ, and requests
/// take their time. Of a short life half is used.
const EARLY: Duration = Duration::from_secs(30);
/// The longest token: it stands in a header.
const LONGEST: usize = 8 * 1024;

impl Answer {
    /// Reads an answer, or says what is wrong with it; never with a token in it.
    pub(super) fn read(response: &Response) -> Result<Self, String> {
        let said: Option<Value> = serde_json::from_slice(&response.body).ok();
        if response.status != 200 {
            let code = said.as_ref().and_then(|said| said["error"].as_str()).filter(|code| is_code(code));
            return Err(match code {
                Some(code) => format!("answered {}: {code}", response.status),
                None => format!("answered {}", response.status),
            });
        }
        if response.truncated {
            return Err("answered with more than 16 KiB".to_owned());
        }
        let said = said.ok_or("answered with something that is not JSON")?;
        if !said["token_type"].as_str().is_some_and(|kind| kind.eq_ignore_ascii_case("bearer")) {
            return Err("gave no token of the type Bearer".to_owned());
        }
        let token = said["access_token"].as_str().filter(|token| is_token(token));
        let token = token.ok_or("gave no token that a header can hold")?;
        Ok(Self { token: token.to_owned().into(), lifetime: used(lifetime(&said["expires_in"])) })
    }
}

/// Some endpoints write the number as a text.
fn lifetime(said: &Value) -> Duration {
    let seconds = said.as_f64().or_else(|| said.as_str()?.parse().ok()).filter(|seconds| *seconds >= 0.0);
    seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()).unwrap_or(UNSAID)
}

fn used(lifetime: Duration) -> Duration {
    let early = EARLY.max(lifetime / 10).min(lifetime / 2);
    lifetime - early
}

fn is_token(text: &str) -> bool {
    !text.is_empty() && !text.contains(' ') && header::is_value(text, LONGEST)
}

/// An error's code as the standards have it (RFC 6749, 4.1.2.1 and 5.2; RFC 8707, 2). Anything else may repeat what was sent.
fn is_code(text: &str) -> bool {
    const CODES: [&str; 10] = [
        "invalid_request",
        "invalid_client",
        "invalid_grant",
        "unauthorized_client",
        "unsupported_grant_type",
        "invalid_scope",
        "invalid_target",
        "access_denied",
        "server_error",
        "temporarily_unavailable",
    ];
    CODES.contains(&text)
}

#[cfg(test)]
mod properties;

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    fn read(status: u16, body: &str) -> Result<(String, u64), String> {
        let response = Response {
            status,
            headers: Vec::new(),
            body: body.to_owned().into(),
            truncated: false,
            remote_address: None,
            retry_after: None,
        };
        Answer::read(&response).map(|answer| (answer.token.expose_secret().to_owned(), answer.lifetime.as_secs()))
    }

    #[test]
    fn a_token_is_used_until_shortly_before_its_end() {
        for (expires_in, seconds) in [
            ("3600", 3240),
            ("86400", 77760),
            ("300", 270),
            ("299", 269),
            ("60", 30),
            ("40", 20),
            ("1", 0),
            ("0", 0),
            ("\"600\"", 540),
            ("600.9", 540),
            ("-5", 270),
            ("\"soon\"", 270),
            ("null", 270),
            ("1e300", 270),
        ] {
            let body = format!(r#"{{"access_token": "t", "token_type": "bearer", "expires_in": {expires_in}}}"#);
            assert_eq!(read(200, &body), Ok(("t".to_owned(), seconds)), "{expires_in}");
        }
        assert_eq!(read(200, r#"{"access_token": "t", "token_type": "BEARER"}"#), Ok(("t".to_owned(), 270)));
    }

    #[test]
    fn what_is_no_token_is_told_without_it() {
        for (status, body, why) in [
            (400, r#"{"error": "invalid_client"}"#, "answered 400: invalid_client"),
            (401, "", "answered 401"),
            (500, "<html>", "answered 500"),
            (400, r#"{"error": "in\nvalid"}"#, "answered 400"),
            (400, r#"{"error": "canary"}"#, "answered 400"),
            (201, r#"{"access_token": "canary", "token_type": "Bearer"}"#, "answered 201"),
            (302, "", "answered 302"),
            (200, "canary", "answered with something that is not JSON"),
            (200, r#"{"access_token": "canary"}"#, "gave no token of the type Bearer"),
            (200, r#"{"access_token": "canary", "token_type": "mac"}"#, "gave no token of the type Bearer"),
            (200, r#"{"token_type": "Bearer"}"#, "gave no token that a header can hold"),
            (200, r#"{"access_token": "", "token_type": "Bearer"}"#, "gave no token that a header can hold"),
            (200, r#"{"access_token": "canary x", "token_type": "Bearer"}"#, "gave no token that a header can hold"),
            (
                200,
                r#"{"access_token": "canary\r\nx: y", "token_type": "Bearer"}"#,
                "gave no token that a header can hold",
            ),
        ] {
            assert_eq!(read(status, body), Err(why.to_owned()), "{body}");
        }
        let long = format!(r#"{{"access_token": "{}", "token_type": "Bearer"}}"#, "x".repeat(8193));
        assert!(read(200, &long).is_err());
    }
}
