//! Where a certificate says that its issuer's can be had (RFC 5280, 4.2.2.1).

/// One element of DER: its tag and what is in it.
type Element<'a> = (u8, &'a [u8]);

const OBJECT_ID: u8 = 0x06;
const OCTETS: u8 = 0x04;
const EXTENSIONS: u8 = 0xa3;
const URI: u8 = 0x86;

/// 1.3.6.1.5.5.7.1.1, authority information access.
const ACCESS: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 1, 1];

/// 1.3.6.1.5.5.7.48.2, the issuer's certificate.
const ISSUER: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 48, 2];

/// The longest URL.
const LONGEST: usize = 500;

/// The URL of the issuer's certificate, with `https` in the place of the `http` that authorities write: theirs answer
/// both, and our way out refuses the one.
pub(super) fn url(certificate: &[u8]) -> Option<String> {
    let (_, certificate) = elements(certificate).next()?;
    let (_, signed) = elements(certificate).next()?;
    let (_, extensions) = elements(signed).find(|(tag, _)| *tag == EXTENSIONS)?;
    let (_, extensions) = elements(extensions).next()?;
    let access = elements(extensions).find_map(|(_, extension)| after(extension, ACCESS, OCTETS))?;
    let (_, ways) = elements(access).next()?;
    let url = elements(ways).find_map(|(_, way)| after(way, ISSUER, URI))?;
    let url = std::str::from_utf8(url).ok().filter(|url| url.len() <= LONGEST)?;
    let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"))?;
    Some(format!("https://{rest}"))
}

/// The content of the element with this tag in a sequence that begins with this object id.
fn after<'a>(sequence: &'a [u8], object_id: &[u8], tag: u8) -> Option<&'a [u8]> {
    let mut elements = elements(sequence);
    elements.next().filter(|first| *first == (OBJECT_ID, object_id))?;
    elements.find(|(found, _)| *found == tag).map(|(_, content)| content)
}

/// What stands one after the other, up to what cannot be read.
fn elements(mut rest: &[u8]) -> impl Iterator<Item = Element<'_>> {
    std::iter::from_fn(move || {
        let (tag, after_tag) = rest.split_first()?;
        let (length, after_length) = length(after_tag)?;
        let (content, next) = after_length.split_at_checked(length)?;
        rest = next;
        Some((*tag, content))
    })
}

/// A length, and what follows it. Nothing in a certificate is longer than two bytes can say.
fn length(text: &[u8]) -> Option<(usize, &[u8])> {
    match text {
        [short @ 0..=0x7f, rest @ ..] => Some((usize::from(*short), rest)),
        [0x81, length, rest @ ..] => Some((usize::from(*length), rest)),
        [0x82, high, low, rest @ ..] => Some((usize::from(u16::from_be_bytes([*high, *low])), rest)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, CustomExtension, KeyPair};

    use super::*;

    fn element(tag: u8, content: &[u8]) -> Vec<u8> {
        let [high, low] = u16::try_from(content.len()).unwrap().to_be_bytes();
        let length = match content.len() {
            0..=0x7f => vec![low],
            0x80..=0xff => vec![0x81, low],
            _ => vec![0x82, high, low],
        };
        [vec![tag], length, content.to_vec()].concat()
    }

    fn way(id: &[u8], tag: u8, url: &str) -> Vec<u8> {
        element(0x30, &[element(OBJECT_ID, id), element(tag, url.as_bytes())].concat())
    }

    fn certificate(ways: &[Vec<u8>]) -> Vec<u8> {
        let mut params = CertificateParams::default();
        let access = CustomExtension::from_oid_content(&[1, 3, 6, 1, 5, 5, 7, 1, 1], element(0x30, &ways.concat()));
        params.custom_extensions.push(access);
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    #[test]
    fn the_url_is_the_one_of_the_issuers_certificate() {
        const OCSP: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 48, 1];
        let long = format!("http://a.example/{}", "x".repeat(LONGEST));
        for (ways, found) in [
            (vec![way(ISSUER, URI, "http://a.example/b.crt")], Some("https://a.example/b.crt")),
            (vec![way(ISSUER, URI, "https://a.example/b.crt")], Some("https://a.example/b.crt")),
            (
                vec![way(OCSP, URI, "http://a.example/"), way(ISSUER, URI, "http://b.example/")],
                Some("https://b.example/"),
            ),
            (vec![way(OCSP, URI, "http://a.example/")], None),
            (vec![way(ISSUER, 0x82, "http://a.example/")], None),
            (vec![way(ISSUER, URI, "ldap://a.example/")], None),
            (vec![way(ISSUER, URI, &long)], None),
            (vec![], None),
        ] {
            assert_eq!(url(&certificate(&ways)).as_deref(), found);
        }
    }

    #[test]
    fn what_is_no_certificate_has_none() {
        let whole = certificate(&[way(ISSUER, URI, "http://a.example/b.crt")]);
        for length in 0..whole.len() {
            assert_eq!(url(&whole[..length]), None, "{length}");
        }
        for place in 0..whole.len() {
            let mut broken = whole.clone();
            broken[place] = 0xff;
            // Anything may come of it but a panic.
            let _found = url(&broken);
        }
    }
}
