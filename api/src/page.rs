//! Pages of lists, newest first. A cursor is sealed for one list of one tenant, so nobody can make one or use another's.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use entity::search::{Range, Read};
use poem_openapi::Object;
use poem_openapi::types::{ParseFromJSON, ToJSON, Type};
use relay::id::{Id, Kind};
use relay::keyring::Keyring;
use secrecy::ExposeSecret;

use crate::error::{Error, Place, Trouble};
use crate::wire::Time;

/// Which part of a list.
#[derive(Debug, Clone, Default, Object)]
pub struct Paging {
    /// How many items at most; 50 unless said otherwise.
    #[oai(validator(minimum(value = "1"), maximum(value = "250")))]
    pub limit: Option<u16>,
    /// The `next_cursor` of the page before.
    #[oai(validator(max_length = 500))]
    pub cursor: Option<String>,
}

/// A part of a list, newest first.
#[derive(Debug, Object)]
pub struct Page<T: Send + Sync + Type + ParseFromJSON + ToJSON> {
    /// The items.
    pub items: Vec<T>,
    /// Gives the next page as `cursor`; null on the last one. A search through much may find few or none at a time.
    #[oai(nullable)]
    pub next_cursor: Option<String>,
}

/// What a list that nothing narrows is asked with.
#[derive(Debug, Clone, Object)]
pub struct Listing {
    #[oai(flatten)]
    pub paging: Paging,
}

/// One page as it is read from the database.
#[derive(Debug)]
pub struct Reading<'a, K: Kind> {
    keyring: &'a Keyring,
    /// What the cursor is sealed for.
    list: String,
    limit: usize,
    /// Only items made before this one.
    pub before: Option<Id<K>>,
    /// The newest there was when the first page was read, where that is said: it goes from page to page.
    pub begun: Option<Id<K>>,
}

const LIMIT: u16 = 50;

impl Paging {
    /// Starts to read a page of the list called so; the name holds the tenant.
    pub fn read<K: Kind>(self, keyring: &Keyring, list: String) -> Result<Reading<'_, K>, Error> {
        let (before, begun) = match &self.cursor {
            Some(cursor) => {
                let (before, begun) = open(keyring, &list, cursor).ok_or_else(strange_cursor)?;
                (Some(before), begun)
            }
            None => (None, None),
        };
        Ok(Reading { keyring, list, limit: self.limit.unwrap_or(LIMIT).into(), before, begun })
    }
}

impl<K: Kind> Reading<'_, K> {
    /// How many rows to read: one more than is shown tells whether there is another page.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.limit as u64 + 1
    }

    /// Turns rows into the page. `shown` makes an item of a row, whose id is `id`.
    pub fn page<R, T>(
        self,
        rows: Vec<R>,
        id: impl Fn(&R) -> Id<K>,
        shown: impl FnMut(&R) -> Result<T, Error>,
    ) -> Result<Page<T>, Error>
    where
        T: Send + Sync + Type + ParseFromJSON + ToJSON,
    {
        self.found(Read { rows, until: None }, id, shown)
    }

    /// The same of what a search found. One that has not come to an end goes on where it stopped, however little it found.
    pub fn found<R, T>(
        self,
        read: Read<R>,
        id: impl Fn(&R) -> Id<K>,
        shown: impl FnMut(&R) -> Result<T, Error>,
    ) -> Result<Page<T>, Error>
    where
        T: Send + Sync + Type + ParseFromJSON + ToJSON,
    {
        let Read { mut rows, until } = read;
        let is_last = rows.len() <= self.limit;
        rows.truncate(self.limit);
        let last = rows.last().filter(|_| !is_last).map(id).or(until.map(Into::into));
        let items = rows.iter().map(shown).collect::<Result<_, _>>()?;
        Ok(Page { items, next_cursor: last.map(|id| seal(self.keyring, &self.list, (id, self.begun))) })
    }

    /// Which part of a table that is, narrowed to what was made in this time.
    #[must_use]
    pub fn range(&self, after: Option<Time>, before: Option<Time>) -> Range {
        let (after, before) = (after.map(|at| at.0.0), before.map(|at| at.0.0));
        Range { after, before, ..Range::newest(self.before.map(Id::uuid), self.rows()) }
    }
}

/// An id, and another behind a space where the pages have a beginning.
fn seal<K: Kind>(keyring: &Keyring, list: &str, (id, begun): (Id<K>, Option<Id<K>>)) -> String {
    let text = begun.map_or_else(|| id.to_string(), |begun| format!("{id} {begun}"));
    URL_SAFE_NO_PAD.encode(keyring.seal(text.as_bytes(), &owner(list)))
}

fn open<K: Kind>(keyring: &Keyring, list: &str, cursor: &str) -> Option<(Id<K>, Option<Id<K>>)> {
    let sealed = String::from_utf8(URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()?;
    let text = keyring.open_text(&sealed, &owner(list)).ok()?;
    match text.expose_secret().split_once(' ') {
        Some((id, begun)) => Some((id.parse().ok()?, Some(begun.parse().ok()?))),
        None => Some((text.expose_secret().parse().ok()?, None)),
    }
}

fn owner(list: &str) -> String {
    format!("{list}/cursor")
}

fn strange_cursor() -> Error {
    Error::Invalid(vec![Trouble::at(Place::Query, "cursor", "is not a `next_cursor` of this list")])
}

#[cfg(test)]
mod properties;

#[cfg(test)]
mod tests {
    use relay::id::SourceId;

    use super::*;

    fn keyring() -> Keyring {
        Keyring::parse("k:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=").unwrap()
    }

    fn read(
        keyring: &Keyring,
        limit: u16,
        cursor: Option<String>,
    ) -> Result<Reading<'_, relay::id::kind::Source>, Error> {
        Paging { limit: Some(limit), cursor }.read(keyring, "ten_1/sources".to_owned())
    }

    #[test]
    fn the_extra_row_makes_the_next_cursor() {
        let keyring = keyring();
        let ids = [3, 2, 1].map(SourceId::at);
        let text = |id: &SourceId| Ok(id.to_string());
        let reading = read(&keyring, 2, None).unwrap();
        assert_eq!((reading.rows(), reading.before), (3, None));
        let page = reading.page(ids.to_vec(), |id| *id, text).unwrap();
        assert_eq!(page.items, [ids[0].to_string(), ids[1].to_string()]);
        assert_eq!(read(&keyring, 2, page.next_cursor).unwrap().before, Some(ids[1]));
        let page = read(&keyring, 2, None).unwrap().page(ids[..2].to_vec(), |id| *id, text).unwrap();
        assert_eq!(page.next_cursor, None);
    }

    #[test]
    fn a_cursor_of_another_list_is_refused() {
        let keyring = keyring();
        let foreign = seal(&keyring, "ten_2/sources", (SourceId::at(1), None));
        for cursor in [foreign, String::new(), "AAAA".to_owned(), "%".to_owned()] {
            assert!(matches!(read(&keyring, 2, Some(cursor)), Err(Error::Invalid(_))));
        }
    }
}
