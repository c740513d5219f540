//! One HTTP request of a delivery and its outcome.

use relay::id::{DeliveryId, EventId, TenantId};
use sea_orm::entity::prelude::*;
use sea_orm::{QueryOrder, QuerySelect, Value};

use crate::delivery::{self, Filter};
use crate::payload_key::{KeyError, Owner, PayloadKeys};
use crate::search::Range;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "attempt")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub tenant_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub delivery_id: Uuid,
    /// Counts from 1.
    #[sea_orm(primary_key, auto_increment = false)]
    pub number: i16,
    pub at: i64,
    pub duration_ms: i32,
    /// See [`Outcome`].
    pub outcome: i16,
    pub status: Option<i16>,
    /// What went wrong, for people.
    pub error: Option<String>,
    pub remote_address: Option<String>,
    /// A JSON array of `[name, value]`, values as Latin-1; or `sealed`.
    pub response_headers: Option<String>,
    /// The first 16 KiB; or headers and body, sealed. None if there was no answer, if it is not kept, and once it is forgotten.
    pub response_body: Option<Vec<u8>>,
}

#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// A schedule has at most 50 attempts; a delivery that was lent to several workers may have a few more.
const MOST: u64 = 100;

/// The attempts of a tenant's delivery that have a row of their own, oldest first: the failed ones.
/// An answer that cannot be opened is left out.
pub async fn of(
    db: &impl ConnectionTrait,
    keys: &PayloadKeys,
    tenant: TenantId,
    delivery: DeliveryId,
) -> Result<Vec<Model>, DbErr> {
    let rows = Entity::find()
        .filter(Column::TenantId.eq(tenant.uuid()))
        .filter(Column::DeliveryId.eq(delivery.uuid()))
        .order_by_asc(Column::Number)
        .limit(MOST)
        .all(db)
        .await?;
    let mut opened = Vec::with_capacity(rows.len());
    for row in rows {
        opened.push(row.opened(keys).await?);
    }
    Ok(opened)
}

/// Deliveries whose answers are forgotten by one statement.
const SOME: u64 = 100;

/// Forgets what destinations answered to a tenant's event: it may repeat what they were sent.
pub async fn forget_answers(db: &impl ConnectionTrait, tenant: TenantId, event: EventId) -> Result<(), DbErr> {
    let of_it = Filter { event_id: Some(event), ..Filter::default() };
    let mut from = None;
    loop {
        let found = delivery::search(db, tenant, &of_it, &Range::newest(from, SOME)).await?;
        Entity::update_many()
            .col_expr(Column::ResponseHeaders, Value::String(None).into())
            .col_expr(Column::ResponseBody, Value::Bytes(None).into())
            .filter(Column::TenantId.eq(tenant.uuid()))
            .filter(Column::DeliveryId.is_in(found.rows.iter().map(|row| row.id.uuid())))
            .filter(Column::ResponseBody.is_not_null())
            .exec(db)
            .await?;
        let last = found.rows.last().filter(|_| found.rows.len() as u64 == SOME).map(|row| row.id.uuid());
        from = found.until.or(last);
        if from.is_none() {
            return Ok(());
        }
    }
}

impl Model {
    async fn opened(self, keys: &PayloadKeys) -> Result<Self, DbErr> {
        let (Some(headers), Some(body)) = (&self.response_headers, &self.response_body) else { return Ok(self) };
        let of = Owner::Answer(self.tenant_id.into(), self.delivery_id.into(), self.number);
        let answer = match keys.open(of, headers.clone(), body.clone().into()).await {
            Ok((headers, body)) => Some((headers, body.into())),
            Err(KeyError::Database(error)) => return Err(error),
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "an answer is left out");
                None
            }
        };
        let (response_headers, response_body) = answer.unzip();
        Ok(Self { response_headers, response_body, ..self })
    }
}

/// What one attempt came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// A 2xx.
    Delivered,
    /// Any other status.
    Rejected,
    /// No whole answer within the destination's time.
    TimedOut,
    /// No connection, or it broke.
    Unreachable,
    /// Our guard does not let anything go there.
    Refused,
    /// The destination's token endpoint gave no token.
    Unauthorized,
}

impl Outcome {
    /// In the order of their numbers.
    pub const ALL: [Self; 6] =
        [Self::Delivered, Self::Rejected, Self::TimedOut, Self::Unreachable, Self::Refused, Self::Unauthorized];

    /// As rows store it.
    #[must_use]
    pub fn number(self) -> i16 {
        self as i16
    }

    /// What a stored number means.
    #[must_use]
    pub fn from_number(number: i16) -> Self {
        match number {
            0 => Self::Delivered,
            1 => Self::Rejected,
            2 => Self::TimedOut,
            4 => Self::Refused,
            5 => Self::Unauthorized,
            _ => Self::Unreachable,
        }
    }
}
