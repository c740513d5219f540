//! Everything that a tenant can see of itself.

use harness::{Client, Value};

use super::ids::Ids;

pub(super) async fn of(operator: &Client, ids: &Ids) -> Vec<Value> {
    let tenant = format!("/v1/tenants/{}", ids.tenant);
    let mut seen = Vec::new();
    for rest in [
        String::new(),
        "/api-keys".to_owned(),
        "/sources".to_owned(),
        format!("/sources/{}/credentials", ids.source),
        "/destinations".to_owned(),
        "/subscriptions".to_owned(),
        "/events".to_owned(),
        format!("/events/{}", ids.event),
        "/deliveries".to_owned(),
        format!("/deliveries/{}", ids.delivery),
        "/replays".to_owned(),
        format!("/replays/{}", ids.replay),
    ] {
        let mut answer = operator.get(&format!("{tenant}{rest}")).await.json(200);
        forget_uses(&mut answer);
        seen.push(answer);
    }
    seen
}

/// When something was used last is no change of it.
fn forget_uses(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.remove("last_used_at");
            fields.values_mut().for_each(forget_uses);
        }
        Value::Array(items) => items.iter_mut().for_each(forget_uses),
        _ => {}
    }
}
