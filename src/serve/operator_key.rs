//! The first operator's key of a newcomer who gave none.

use entity::start::Opened;
use secrecy::SecretString;

use crate::keys::NewKey;
use crate::serve::Error;

/// Makes an operator's key if there is none and none was given; returns it to be shown once.
pub(crate) async fn ensure(opened: &Opened, given: bool) -> Result<Option<SecretString>, Error> {
    if given || entity::api_key::any_operator(&opened.db.read).await? {
        return Ok(None);
    }
    let (key, _) = NewKey::of_operator("first start").make(&opened.db, opened.clock.now()).await?;
    Ok(Some(key))
}
