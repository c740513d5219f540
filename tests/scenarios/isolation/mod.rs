//! The isolation walk: no operation of the published document shows a stranger anything, or lets them change it.

mod cases;
pub(crate) mod document;
pub(crate) mod ids;
mod snapshot;
mod world;

use harness::answer::text;
use harness::ondato::{APPROVED, event};
use harness::{Client, Database, Receiver, Relay, Source, eventually, json, on_each_database};
use reqwest::Method;

use cases::{Caller, Case};
use document::Operation;
use ids::Ids;
use world::World;

on_each_database![
    no_operation_tells_a_stranger_anything,
    ids_in_queries_are_the_tenants_own,
    ids_in_the_filter_of_a_replay_are_the_tenants_own,
    a_provider_is_let_in_at_its_own_source_alone,
];

async fn no_operation_tells_a_stranger_anything(database: Database) {
    let relay = Relay::start(database).await;
    let receiver = Receiver::always(500).await;
    let stranger = World::create(&relay, &receiver).await;
    let operations = document::operations(&relay.anybody().get("/openapi.json").await.json(200));
    let without_case: Vec<_> = operations.iter().filter(|operation| cases::find(operation).is_none()).collect();
    assert!(without_case.is_empty(), "operations without a case in isolation/cases.rs: {without_case:#?}");
    assert_eq!(cases::stale(&operations), [] as [&str; 0], "cases without an operation");

    for operation in &operations {
        let case = cases::find(operation).expect("just seen");
        match case.caller {
            Caller::Anybody => in_public(&relay, operation).await,
            Caller::Provider => {}
            Caller::Operator | Caller::Tenant => walk(&relay, &receiver, &stranger, (operation, case)).await,
        }
    }
}

/// Needs no key, so there is nothing to keep from anybody.
async fn in_public(relay: &Relay, operation: &Operation) {
    let public = Ids::unknown();
    call(&relay.anybody(), operation, &operation.path(&public), None).await.succeeded();
}

/// Strangers first, so that the thing they reach for is there; the owner's success proves it afterwards.
async fn walk(relay: &Relay, receiver: &Receiver, stranger: &World, (operation, case): (&Operation, &Case)) {
    let owner = World::create(relay, receiver).await;
    let before = snapshot::of(&relay.operator(), &owner.ids).await;
    let unknown = Ids::unknown();

    let theirs = (operation.path(&owner.ids), case.body(&owner.ids));
    let nobodys = (operation.path(&unknown), case.body(&unknown));
    if operation.names_something() {
        look_the_same(&stranger.key, operation, theirs.clone(), nobodys.clone(), &owner.ids).await;
        let answer = call(&relay.anybody(), operation, &theirs.0, theirs.1.as_ref()).await;
        let _ = answer.problem(401);
    } else {
        let answer = call(&stranger.key, operation, &theirs.0, theirs.1.as_ref()).await;
        assert!(!answer.text().contains(&owner.ids.tenant), "{answer}");
    }
    for (owners, unknowns) in operation.mixtures(&stranger.ids, &owner.ids, &unknown) {
        let body = case.body(&stranger.ids);
        look_the_same(&stranger.key, operation, (owners, body.clone()), (unknowns, body), &owner.ids).await;
    }
    if case.body(&owner.ids) != case.body(&stranger.ids) {
        let path = operation.path(&stranger.ids);
        look_the_same(&stranger.key, operation, (path.clone(), theirs.1.clone()), (path, nobodys.1), &owner.ids).await;
    }
    assert_eq!(
        snapshot::of(&relay.operator(), &owner.ids).await,
        before,
        "{} by a stranger changed something",
        operation.call
    );

    let caller = if case.caller == Caller::Operator { relay.operator() } else { owner.key.clone() };
    call(&caller, operation, &theirs.0, theirs.1.as_ref()).await.succeeded();
}

type Request = (String, Option<harness::Value>);

/// What is somebody else's is refused exactly as what does not exist.
async fn look_the_same(stranger: &Client, operation: &Operation, theirs: Request, nobodys: Request, owner: &Ids) {
    let other = call(stranger, operation, &theirs.0, theirs.1.as_ref()).await;
    let none = call(stranger, operation, &nobodys.0, nobodys.1.as_ref()).await;
    let forbidden = cases::find(operation).is_some_and(|case| case.caller == Caller::Operator) && other.status == 403;
    assert!(forbidden || [404, 422].contains(&other.status), "{other}");
    let _ = other.problem(other.status);
    assert_eq!(
        ids::without(&other),
        ids::without(&none),
        "{} {} is told apart from {}",
        operation.call,
        theirs.0,
        nobodys.0
    );
    assert!(!other.text().contains(&owner.slug), "{other}");
}

async fn call(caller: &Client, operation: &Operation, path: &str, body: Option<&harness::Value>) -> harness::Answer {
    let method: Method = operation.method.parse().expect("a method");
    let path = &format!("{path}{}", cases::find(operation).map_or("", |case| case.query));
    match body {
        Some(body) => caller.ask_json(method, path, &[], body).await,
        None => caller.ask(method, path, &[], "").await,
    }
}

async fn ids_in_queries_are_the_tenants_own(database: Database) {
    let relay = Relay::start(database).await;
    let receiver = Receiver::always(500).await;
    let (owner, stranger) = (World::create(&relay, &receiver).await, World::create(&relay, &receiver).await);
    let unknown = Ids::unknown();

    for (list, parameter, of) in cases::QUERIES {
        let ask = async |ids: &Ids| {
            stranger.key.get(&format!("/v1/tenants/{}{list}?{parameter}={}", stranger.ids.tenant, of(ids))).await
        };
        let (own, theirs, none) = (ask(&stranger.ids).await, ask(&owner.ids).await, ask(&unknown).await);
        assert_ne!(own.json(200)["items"].as_array().map(Vec::len), Some(0), "{own}");
        assert_eq!(ids::without(&theirs), ids::without(&none), "{list}?{parameter}");
        assert_eq!(theirs.json(200)["items"].as_array().map(Vec::len), Some(0), "{theirs}");
    }
}

async fn ids_in_the_filter_of_a_replay_are_the_tenants_own(database: Database) {
    let relay = Relay::start(database).await;
    let receiver = Receiver::always(500).await;
    let (owner, stranger) = (World::create(&relay, &receiver).await, World::create(&relay, &receiver).await);
    for World { ids, key } in [&owner, &stranger] {
        // Only what has ended, and was not asked for again since, can be asked for again by its destination.
        let of_it = format!("/v1/tenants/{}", ids.tenant);
        key.act(&format!("{of_it}/replays/{}/cancel", ids.replay)).await.succeeded();
        key.act(&format!("{of_it}/deliveries/{}/cancel", ids.delivery)).await.succeeded();
        let pending = format!("{of_it}/deliveries?state=pending");
        eventually("all deliveries to end", async || {
            (key.get(&pending).await.json(200)["items"] == json!([])).then_some(())
        })
        .await;
    }
    let path = format!("/v1/tenants/{}/replays", stranger.ids.tenant);
    for (field, of) in cases::FILTERS {
        let planned = async |ids: &Ids| {
            let asked = json!({ "filter": { field: of(ids) }, "dry_run": true });
            let replay = text(&stranger.key.post(&path, asked).await.json(202), "id");
            eventually("the replay to be counted", async || {
                let replay = stranger.key.get(&format!("{path}/{replay}")).await.json(200);
                (replay["state"] == "completed").then(|| replay["planned"]["deliveries"].as_i64().unwrap())
            })
            .await
        };
        assert!(planned(&stranger.ids).await > 0, "{field}");
        assert_eq!((planned(&owner.ids).await, planned(&Ids::unknown()).await), (0, 0), "{field}");
    }
}

/// Its URL's key opens nothing under another tenant's name, and what it presents nothing at another tenant's URL.
async fn a_provider_is_let_in_at_its_own_source_alone(database: Database) {
    let relay = Relay::start(database).await;
    let [owner, stranger] = [relay.tenant("acme").await, relay.tenant("stranger").await];
    let (source, _) = owner.guarded_source("ondato", "correct horse battery").await;
    let (theirs, _) = stranger.guarded_source("ondato", "staple of another").await;
    let parts = |source: &Source| {
        let (tenant, key) = source.path["/in/".len()..].split_once('/').expect("a tenant and a key");
        (tenant.to_owned(), key.to_owned())
    };
    let at = |tenant: &str, key: &str| Source { path: format!("/in/{tenant}/{key}"), ..theirs.clone() };
    let ((own, own_key), (other, other_key)) = (parts(&source), parts(&theirs));
    at(&other, &other_key).send(APPROVED).await;

    let nobodys = at(&own, &"a".repeat(own_key.len())).post(event(APPROVED)).await;
    let _ = nobodys.problem(404);
    for (tenant, key) in [(&own, &other_key), (&other, &own_key)] {
        let answer = at(tenant, key).post(event(APPROVED)).await;
        assert_eq!(ids::without(&answer), ids::without(&nobodys), "{answer}");
    }
    let _ = at(&own, &own_key).post(event(APPROVED)).await.problem(401);
    assert_eq!(relay.database.number("SELECT count(*) FROM event").await, 1);
}
