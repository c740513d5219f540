use proptest::prelude::Strategy;
use proptest::sample::select;
use secrecy::ExposeSecret;

use super::*;
use crate::property::{nearly, of_each};

fn read(status: u16, body: String) -> Result<Answer, String> {
    let (headers, truncated) = (Vec::new(), false);
    Answer::read(&Response { status, headers, body: body.into(), truncated, remote_address: None, retry_after: None })
}

fn body() -> impl Strategy<Value = String> {
    let number = "-?[0-9]{1,20}(\\.[0-9]{0,3})?(e[0-9]{1,3})?|inf|nan|null";
    (nearly("(canary[ -~]{0,3})?|canary canary"), nearly(number)).prop_map(|(token, expires_in)| {
        let expires_in = serde_json::from_str::<Value>(&expires_in).unwrap_or_else(|_| expires_in.into());
        serde_json::json!({"access_token": token, "token_type": "Bearer", "expires_in": expires_in}).to_string()
    })
}

#[test]
fn whatever_an_endpoint_says_there_is_a_token_for_a_header_or_a_reason_without_it() {
    of_each((select(vec![200, 200, 201, 400]), nearly(body())), |(status, body)| match read(status, body) {
        Ok(answer) => {
            let token = answer.token.expose_secret();
            assert!(status == 200 && !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic()));
        }
        Err(why) => assert!(!why.contains("canary"), "{why}"),
    });
}

#[test]
fn a_token_is_given_up_before_its_end_and_not_before_its_middle() {
    of_each(nearly("[0-9]{1,9}(\\.[0-9]{1,3})?"), |seconds| {
        let body = format!(r#"{{"access_token": "t", "token_type": "bearer", "expires_in": "{seconds}"}}"#);
        let said = seconds.parse().ok().filter(|seconds| (0.0..1e18).contains(seconds));
        let (Some(said), Ok(answer)) = (said, read(200, body)) else { return };
        let used = answer.lifetime.as_secs_f64();
        assert!(
            used >= said * 0.499 && used <= said * 0.901 && (used <= said - 29.999 || said <= 60.0),
            "{used} of {said}"
        );
    });
}
