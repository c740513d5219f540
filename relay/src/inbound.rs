//! A request as a provider sent it, for everything that only looks at it.

use http::HeaderMap;

/// Borrowed from whoever received it.
#[derive(Debug, Clone, Copy)]
pub struct Inbound<'a> {
    /// In upper case.
    pub method: &'a str,
    pub headers: &'a HeaderMap,
    /// What follows the source key in the path, as it was sent.
    pub path: &'a str,
    /// What follows the question mark of the URL, as it was sent.
    pub query: Option<&'a str>,
    /// The raw body.
    pub body: &'a [u8],
}

impl<'a> Inbound<'a> {
    /// The value of a header that stands there once; one that was sent twice says nothing.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&'a [u8]> {
        let mut values = self.headers.get_all(name).iter();
        let (value, None) = (values.next()?, values.next()) else { return None };
        Some(value.as_bytes())
    }

    /// The first value of a query item, decoded.
    #[must_use]
    pub fn query_item(&self, name: &str) -> Option<String> {
        let items = url::form_urlencoded::parse(self.query?.as_bytes());
        items.into_iter().find(|(found, _)| found == name).map(|(_, value)| value.into_owned())
    }
}
