//! What a tenant calls its things, so that a set-up can be described and applied again: how they are found by it.

use entity::DbErr;
use entity::database::is_taken;
use poem_openapi::Object;

use crate::error::{Error, Place, Trouble};
use crate::page::Paging;
use crate::wire::{Key, KeyInPath, NoKey, Text, Thing};

/// What a list of things that have keys is asked with.
#[derive(Debug, Clone, Object)]
pub struct KeyedListing {
    /// Only the one that has this key.
    pub key: Option<Text<Key>>,
    #[oai(flatten)]
    pub paging: Paging,
}

/// The key of the path, which is also the one that the body says at `pointer`, if it says one.
pub(super) fn agreed(path: Text<KeyInPath>, pointer: &str, body: Option<&Text<Key>>) -> Result<Key, Error> {
    let no_key = |error: NoKey| Error::Invalid(vec![Trouble::at(Place::Path, "key", error.to_string())]);
    let key = path.0.0.map_err(no_key)?;
    match body {
        Some(said) if said.0 != key => Err(Error::field(pointer, "is another than the key in the path")),
        _ => Ok(key),
    }
}

/// As rows have it.
pub(super) fn column(said: Option<Text<Key>>) -> Option<String> {
    said.map(|key| key.0.into())
}

/// As the API has it.
pub(super) fn shown(column: Option<&str>) -> Result<Option<Text<Key>>, Error> {
    let read = |text: &str| text.parse().map(Text).map_err(|error: NoKey| Error::Fault(error.into()));
    column.map(read).transpose()
}

/// Why a thing with a key was not made.
pub(super) fn not_made<K: Thing>(error: DbErr) -> Error {
    if !is_taken(&error) {
        return error.into();
    }
    let thing = K::OBJECT;
    Error::Conflict(format!(
        "There is a {thing} with this key already. Choose another key, or change that {thing} with `PUT …/by-key/{{key}}`."
    ))
}

/// What a PUT cannot change of what its key names.
pub(super) fn fixed(pointer: &str, present: &str) -> Error {
    let told = format!("never changes, and is `{present}` here: use another key, or delete what has this one");
    Error::field(pointer, told)
}
