//! Headers as they are stored: in their order, repeats kept, every byte; but never what authenticated the request.

use poem::http::HeaderMap;

/// In the place of a value that proves who sent the request.
const REDACTED: &[u8] = b"[redacted]";
/// Their values are secrets wherever they appear.
const SECRET: [&str; 3] = ["authorization", "proxy-authorization", "cookie"];
/// A content type that is longer is kept only among the headers.
const LONGEST_TYPE: usize = 512;

/// Names and values, with secrets struck out.
pub(super) fn pairs(headers: &HeaderMap) -> Vec<(String, Vec<u8>)> {
    let kept = |name: &str, value: &[u8]| if SECRET.contains(&name) { REDACTED.to_vec() } else { value.to_vec() };
    headers.iter().map(|(name, value)| (name.to_string(), kept(name.as_str(), value.as_bytes()))).collect()
}

/// A JSON array of pairs, each byte of a value as the letter of that number.
pub(super) fn text(pairs: &[(String, Vec<u8>)]) -> String {
    let letters = |value: &[u8]| value.iter().map(|byte| char::from(*byte)).collect::<String>();
    let pairs: Vec<(&str, String)> = pairs.iter().map(|(name, value)| (name.as_str(), letters(value))).collect();
    serde_json::to_string(&pairs).expect("strings serialise")
}

/// What the request says its body is.
pub(super) fn content_type(headers: &HeaderMap) -> Option<String> {
    let value = headers.get("content-type")?.to_str().ok()?;
    (value.len() <= LONGEST_TYPE).then(|| value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_authenticates_is_struck_out_and_the_rest_keeps_every_byte() {
        let mut headers = HeaderMap::new();
        headers.insert("authorization", "Basic c2VjcmV0".parse().unwrap());
        headers.append("x-twice", "1".parse().unwrap());
        headers.append("x-twice", poem::http::HeaderValue::from_bytes(b"\xff").unwrap());
        assert_eq!(text(&pairs(&headers)), r#"[["authorization","[redacted]"],["x-twice","1"],["x-twice","ÿ"]]"#);
    }
}
