//! What became of the events, as the admin API tells it.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::Value;

use super::client::{Admin, text};
use super::tenant::{self, Tenant};
use crate::serve::Error;

/// One delivery, with the statuses that its attempts were answered with.
#[derive(Debug)]
pub(super) struct Delivery {
    pub(super) event_id: String,
    pub(super) subscription_id: String,
    pub(super) state: String,
    pub(super) attempts: u64,
    /// The status of each attempt, or what else it came to.
    pub(super) statuses: Vec<String>,
}

/// Retries take two to three seconds here; this is far beyond.
const PATIENCE: Duration = Duration::from_secs(20);
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Waits until so many deliveries have ended, showing how far it is; returns all there are, whatever became of them.
pub(super) async fn watch(admin: &Admin, tenants: &[&Tenant], expected: usize) -> Result<Vec<Delivery>, Error> {
    let (bar, began) = (progress(expected)?, Instant::now());
    let found = loop {
        let found = tenant::items(admin, tenants, "deliveries").await?;
        let ended = found.iter().filter(|(_, row)| has_ended(row)).count();
        bar.set_position(ended as u64);
        if ended >= expected || began.elapsed() > PATIENCE {
            break found;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    };
    bar.finish_and_clear();
    let mut deliveries = Vec::with_capacity(found.len());
    for (tenant, row) in found {
        deliveries.push(whole(admin, tenant, &row).await?);
    }
    Ok(deliveries)
}

/// Hidden where standard output is not a terminal.
fn progress(expected: usize) -> Result<ProgressBar, Error> {
    let style = ProgressStyle::with_template("  {bar:40} {pos} of {len} deliveries have ended, {elapsed}")?;
    let bar = ProgressBar::with_draw_target(Some(expected as u64), ProgressDrawTarget::stdout());
    Ok(bar.with_style(style))
}

fn has_ended(row: &Value) -> bool {
    !matches!(row["state"].as_str(), None | Some("pending" | "held"))
}

async fn whole(admin: &Admin, tenant: &Tenant, row: &Value) -> Result<Delivery, Error> {
    let whole = admin.get(&format!("{}/deliveries/{}", tenant.path, text(row, "id")?)).await?;
    let log = whole["attempt_log"].as_array().cloned().unwrap_or_default();
    let status = |attempt: &Value| match attempt["status"].as_u64() {
        Some(status) => status.to_string(),
        None => attempt["outcome"].as_str().unwrap_or("?").to_owned(),
    };
    Ok(Delivery {
        event_id: text(&whole, "event_id")?,
        subscription_id: text(&whole, "subscription_id")?,
        state: text(&whole, "state")?,
        attempts: whole["attempts"].as_u64().unwrap_or_default(),
        statuses: log.iter().map(status).collect(),
    })
}
