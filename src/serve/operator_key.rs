//! The first operator's key of a newcomer who gave none.

use entity::DbErr;
use entity::start::Opened;
use secrecy::SecretString;

use crate::keys::{self, Owner};

/// Makes an operator's key if there is none and none was given; returns it to be shown once.
pub(crate) async fn ensure(opened: &Opened, given: bool) -> Result<Option<SecretString>, DbErr> {
    if given || entity::api_key::any_operator(&opened.db.read).await? {
        return Ok(None);
    }
    keys::make(&opened.db, opened.clock.now(), &Owner::Operator, "first start").await.map(Some)
}
