//! What a source refused.

use entity::rejection;
use poem_openapi::Object;
use relay::id::{SourceId, kind};

use crate::answer::Found;
use crate::auth::Access;
use crate::error::Error;
use crate::page::{Listing, Page};
use crate::wire::{Id, Time, time};

/// A request that was refused, or only reported.
#[derive(Debug, Clone, Object)]
pub struct Rejection {
    pub id: Id<kind::Rejection>,
    pub at: Time,
    /// Why. Of the request: `method`, `address_not_listed`, `quota`, `too_large`, `slow` (the body did not arrive in
    /// time), `broken` (the body broke off). Of credentials: `no_credential` (the source has none that is live),
    /// `credential_missing`, `credential_wrong`, `credential_expired`, `token_invalid`. Of signatures:
    /// `signature_missing`, `signature_repeated`, `signature_malformed`, `signature_stale` (its time is too far from
    /// now), `signature_mismatch`, `header_not_equal`, `keys_away` (the keys to check it with could not be fetched),
    /// `verification_unknown` (a demand of a newer version). Only reported: `address_reported`. More may come.
    pub cause: String,
    /// False if it was only reported: a request from an address that is not listed, where the list is not enforced.
    pub refused: bool,
    pub method: String,
    #[oai(nullable)]
    pub remote_address: Option<String>,
    #[oai(nullable)]
    pub content_type: Option<String>,
    /// Bytes of the body, as it was announced.
    #[oai(nullable)]
    pub size: Option<i64>,
    /// The names of its headers; what they said is not kept.
    pub header_names: Vec<String>,
}

/// How many a source refused for one cause.
#[derive(Debug, Clone, Object)]
pub struct RejectionTotal {
    /// As in `items`.
    pub cause: String,
    pub total: i64,
    pub last_at: Time,
}

/// The last requests that a source refused, newest first: at most 100 are kept, and of a flood only some. Of what was only
/// reported, each address is shown about once a minute. The totals count all.
#[derive(Debug, Object)]
pub struct Rejections {
    pub items: Vec<Rejection>,
    #[oai(nullable)]
    pub next_cursor: Option<String>,
    /// Since the source was made, by cause.
    pub totals: Vec<RejectionTotal>,
}

pub(super) async fn list(access: &Access, source: SourceId, asked: Listing) -> Result<Found<Rejections>, Error> {
    let (db, app) = (&access.app().db.read, access.app());
    let reading = asked.paging.read(&app.keyring, format!("{}/{source}/rejections", access.id()))?;
    let totals = rejection::totals(db, access.id(), source).await?;
    let rows = rejection::page(db, (access.id(), source), reading.before, reading.rows()).await?;
    let Page { items, next_cursor } = reading.page(rows, rejection::Model::id, Rejection::show)?;
    let totals =
        totals.into_iter().map(|row| RejectionTotal { cause: row.cause, total: row.total, last_at: time(row.last_at) });
    Ok(Found::of(Rejections { items, next_cursor, totals: totals.collect() }))
}

impl Rejection {
    pub(in super::super) fn show(row: &rejection::Model) -> Result<Self, Error> {
        Ok(Self {
            id: row.id().into(),
            at: time(row.id().millis()),
            cause: row.cause.clone(),
            refused: row.is_refused,
            method: row.method.clone(),
            remote_address: row.remote_address.clone(),
            content_type: row.content_type.clone(),
            size: row.size,
            header_names: serde_json::from_str(&row.header_names).map_err(|error| Error::Fault(error.into()))?,
        })
    }
}
