//! What the generator sends: an Ondato event of a given size, with its number in its id.

const BEFORE: &str = r#"{"Id":"00000000-0000-4000-8000-"#;
/// Where the part of the id begins that is like no other's, as providers' ids are: an index of them is written all over.
const RANDOM: usize = 7;
const AFTER: &str = r#"","ApplicationId":"d73da14e-a6b9-4bb1-b9df-f3b40ba1ed34","CreatedUtc":"2022-07-26T07:16:41.873Z","Payload":{"id":"3fa85f64-5717-4562-b3fc-2c963f66afa6","status":"Approved","note":""#;
const END: &str = r#""},"Type":"Bench.00000"}"#;
const DIGITS: usize = 12;
/// Digits of the type's number, and what stands behind them.
const TYPE_DIGITS: usize = 5;
const BEHIND_TYPE: usize = 2;

/// An event of so many bytes, or of the smallest that can be written.
pub(crate) fn of_size(size: usize) -> Vec<u8> {
    let least = BEFORE.len() + DIGITS + AFTER.len() + END.len();
    let padding = "x".repeat(size.saturating_sub(least));
    format!("{BEFORE}{:0DIGITS$}{AFTER}{padding}{END}", 0).into_bytes()
}

/// Writes a number into it, and one of the types.
pub(crate) fn number(body: &mut [u8], number: u32, of_type: u32) {
    let end = body.len() - BEHIND_TYPE;
    digits(&mut body[end - TYPE_DIGITS..end], of_type);
    // An odd factor: different numbers stay different.
    let scattered = format!("{:08x}", number.wrapping_mul(0x9e37_79b1));
    body[RANDOM..RANDOM + 8].copy_from_slice(scattered.as_bytes());
    digits(&mut body[BEFORE.len()..BEFORE.len() + DIGITS], number);
}

/// The name of a type.
pub(crate) fn type_name(number: u32) -> String {
    format!("Bench.{number:0TYPE_DIGITS$}")
}

fn digits(places: &mut [u8], mut rest: u32) {
    for place in places.iter_mut().rev() {
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
