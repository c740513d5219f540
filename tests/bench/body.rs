//! What the generator sends: an Ondato event of a given size, with its number in its id.

const BEFORE: &str = r#"{"Id":"b0000000-0000-4000-8000-"#;
const AFTER: &str = r#"","ApplicationId":"d73da14e-a6b9-4bb1-b9df-f3b40ba1ed34","CreatedUtc":"2022-07-26T07:16:41.873Z","Payload":{"id":"3fa85f64-5717-4562-b3fc-2c963f66afa6","status":"Approved","note":""#;
const END: &str = r#""},"Type":"KycIdentification.Approved"}"#;
const DIGITS: usize = 12;

/// An event of so many bytes, or of the smallest that can be written.
pub(crate) fn of_size(size: usize) -> Vec<u8> {
    let least = BEFORE.len() + DIGITS + AFTER.len() + END.len();
    let padding = "x".repeat(size.saturating_sub(least));
    format!("{BEFORE}{:0DIGITS$}{AFTER}{padding}{END}", 0).into_bytes()
}

/// Writes a number into it.
pub(crate) fn number(body: &mut [u8], number: u32) {
    let mut rest = number;
    for place in body[BEFORE.len()..BEFORE.len() + DIGITS].iter_mut().rev() {
        *place = b'0' + u8::try_from(rest % 10).unwrap_or(0);
        rest /= 10;
    }
}

/// The number in a body, if it is one of these.
pub(crate) fn number_of(body: &[u8]) -> Option<usize> {
    let digits = body.get(BEFORE.len()..BEFORE.len() + DIGITS)?;
    digits.iter().try_fold(0_usize, |sum, digit| digit.is_ascii_digit().then(|| 10 * sum + usize::from(digit - b'0')))
}

/// The two halves around the number, for those who write bodies in SQL.
pub(crate) fn halves(size: usize) -> (String, String) {
    let whole = String::from_utf8(of_size(size)).unwrap();
    (whole[..BEFORE.len()].to_owned(), whole[BEFORE.len() + DIGITS..].to_owned())
}
