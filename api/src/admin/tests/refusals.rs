use serde_json::json;

use super::*;

#[tokio::test]
async fn what_the_framework_refuses_is_a_problem_too() {
    let world = World::new().await;
    for (method, path, status) in [
        (Method::GET, "/nowhere", 404),
        (Method::GET, "/v1/nothing", 404),
        (Method::GET, "/v1/tenants/not-an-id", 404),
        (Method::GET, "/v1/providers/nobody", 404),
        (Method::PUT, "/v1/tenants", 405),
        (Method::POST, "/docs", 405),
    ] {
        let reply = world.ask(method, path, &[], None).await;
        assert_eq!(reply.headers.get("allow").is_some(), status == 405, "{path}");
        reply.is(status);
    }
}

#[tokio::test]
async fn an_id_that_is_none_and_one_that_is_anothers_read_alike() {
    let world = World::new().await;
    let other = world.tenant("other").await;
    let key = world.key(json!(["read", "write"])).await;
    let unknown = "/v1/tenants/ten_01h2xcejqtf2nbrexx3vqjhp41";
    let mut bodies = Vec::new();
    for path in [&other, unknown, "/v1/tenants/nonsense", "/v1/tenants/dst_01h2xcejqtf2nbrexx3vqjhp41"] {
        let mut body = world.ask(Method::GET, path, &[("authorization", &key)], None).await.is(404);
        body.as_object_mut().unwrap().remove("request_id");
        bodies.push(body);
    }
    assert!(bodies.iter().all(|body| *body == bodies[0]));
}

#[tokio::test]
async fn without_a_live_key_it_is_401_and_without_the_scope_403() {
    let world = World::new().await;
    for key in ["", "Bearer", "Bearer nonsense", "Basic nonsense"] {
        let reply = world.ask(Method::GET, "/v1/tenants", &[("authorization", key)], None).await;
        assert_eq!(reply.headers["www-authenticate"], "Bearer");
        reply.is(401);
    }
    let sources = format!("{}/sources", world.tenant);
    let key = world.key(json!(["write"])).await;
    let refused = world.ask(Method::GET, &sources, &[("authorization", &key)], None).await.is(403);
    assert!(refused["detail"].as_str().unwrap().contains("`read`"), "{refused}");
    let keys = format!("{}/api-keys", world.tenant);
    let maker = world.key(json!(["keys", "read"])).await;
    let wider = json!({"name": "k", "scopes": ["write"]});
    world.ask(Method::POST, &keys, &[("authorization", &maker)], Some(wider)).await.is(403);
    let usual = world.ask(Method::POST, &keys, &[("authorization", &maker)], Some(json!({"name": "k"}))).await.is(201);
    assert_eq!(usual["scopes"], json!(["read"]));
    world.ask(Method::GET, "/v1/tenants", &[("authorization", &maker)], None).await.is(403);
}

#[tokio::test]
async fn an_expired_key_makes_nothing_longer_lived_and_then_opens_nothing() {
    let world = World::new().await;
    let keys = format!("{}/api-keys", world.tenant);
    world.post(&keys, json!({"name": "k", "expires_at": "2020-01-01T00:00:00Z"})).await.refuses(&["/expires_at"]);
    let in_an_hour = world.app.clock.now() + 3_600_000;
    let soon = crate::wire::time(in_an_hour).to_string();
    let made = world.post(&keys, json!({"name": "k", "scopes": ["keys"], "expires_at": soon})).await.is(201);
    let key = format!("Bearer {}", made["key"].as_str().unwrap());
    let authorization = [("authorization", key.as_str())];
    let inherited = world.ask(Method::POST, &keys, &authorization, Some(json!({"name": "k"}))).await.is(201);
    assert_eq!(inherited["expires_at"], made["expires_at"]);
    let longer = json!({"name": "k", "expires_at": "2999-01-01T00:00:00Z"});
    world.ask(Method::POST, &keys, &authorization, Some(longer)).await.is(403);
    world.app.clock.follow(in_an_hour, relay::clock::boot_time());
    world.ask(Method::GET, &keys, &authorization, None).await.is(401);
}

#[tokio::test]
async fn bodies_are_refused_where_they_are_wrong() {
    let world = World::new().await;
    let path = |rest: &str| format!("{}{rest}", world.tenant);
    for (rest, body, places) in [
        ("/sources", json!({}), vec!["/name", "/provider"]),
        ("/sources", json!({"name": 1, "provider": "ondato"}), vec!["/name"]),
        ("/sources", json!({"name": "n", "provider": "acme"}), vec!["/provider"]),
        ("/sources", json!({"name": "n", "provider": "waldo"}), vec!["/verification"]),
        ("/sources", json!({"name": "n", "provider": "ondato", "transform": {}}), vec!["/transform"]),
        (
            "/sources",
            json!({"name": "n", "provider": "ondato", "verification": {"kind": "magic"}}),
            vec!["/verification/kind"],
        ),
        ("/destinations", json!({"name": "n", "url": "https://10.0.0.1/"}), vec!["/url"]),
        ("/destinations", json!({"name": "n", "url": "https://a.hookyard.dev/", "timeout_s": 31}), vec!["/timeout_s"]),
        (
            "/destinations",
            json!({"name": "n", "url": "https://a.hookyard.dev/", "auth": {"kind": "basic", "username": "a:b", "password": "p"}}),
            vec!["/auth/username"],
        ),
        (
            "/destinations",
            json!({"name": "n", "url": "https://a.hookyard.dev/", "retry": {"schedule_s": [0, -1], "statuses": []}}),
            vec!["/retry/schedule_s/1", "/retry/statuses"],
        ),
        (
            "/subscriptions",
            json!({"destination_id": "dst_01h2xcejqtf2nbrexx3vqjhp41", "event_types": ["*"]}),
            vec!["/destination_id"],
        ),
        (
            "/subscriptions",
            json!({"destination_id": "x", "event_types": ["a*"]}),
            vec!["/destination_id", "/event_types/0"],
        ),
        ("/api-keys", json!({"name": "n", "scopes": ["admin"]}), vec!["/scopes/0"]),
    ] {
        world.post(&path(rest), body).await.refuses(&places);
    }
    let own = world.destination().await;
    let id = own.rsplit('/').next().unwrap();
    let foreign = json!({"destination_id": id, "event_types": ["*"], "source_ids": ["src_01h2xcejqtf2nbrexx3vqjhp41"]});
    world.post(&path("/subscriptions"), foreign).await.refuses(&["/source_ids/0"]);
    world.patch(&own, json!({"name": null})).await.refuses(&["/name"]);
    world.patch(&own, json!({"state": "active"})).await.refuses(&["/state"]);
}

#[tokio::test]
async fn what_a_source_cannot_do_is_refused_where_it_stands() {
    let world = World::new().await;
    let sources = format!("{}/sources", world.tenant);
    let of = |more: Value| {
        let mut source = json!({"name": "n", "provider": "generic", "verification": {"kind": "none"}});
        source.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        source
    };
    let jwt = |url: &str| json!({"verification": {"kind": "jwt", "jwks_url": url, "issuer": "i", "audience": "a"}});
    let hmac = |parse: Value, timestamp: Value| {
        let signature = json!({"from": "header", "name": "x-s", "parse": parse, "encoding": "hex"});
        json!({"verification": {"kind": "hmac", "signature": signature, "algorithm": "hmac-sha256", "signed": "{ts}.{body}", "timestamp": timestamp}})
    };
    let timed = |from: &str| json!({"from": from, "unit": "s", "tolerance_s": 300});
    let kv = |sig: usize, pair: &str| {
        let names: Vec<_> = (0..sig).map(|number| format!("v{number}")).collect();
        json!({"kind": "kv", "pair": pair, "kv": "=", "sig": names, "ts": "t"})
    };
    let eight = |count: usize| vec!["json:/a"; count].join(" or ");
    let full: serde_json::Map<_, _> = (0..8).map(|number| (format!("a{number}"), json!(eight(8)))).collect();
    let made = world.post(&sources, of(json!({}))).await.is(201);
    let source = format!("{sources}/{}", made["id"].as_str().unwrap());
    for (more, place) in [
        (json!({"extract": {"attributes": {"a": "nowhere"}}}), "/extract/attributes/a"),
        (json!({"extract": {"attributes": {"a/b": "json:/a"}}}), "/extract/attributes/a~1b"),
        (json!({"extract": {"attributes": full, "request_id": "header:a"}}), "/extract"),
        (jwt("https://169.254.169.254/x"), "/verification/jwks_url"),
        (jwt("http://169.254.169.254/x"), "/verification/jwks_url"),
        (json!({"forward_headers": ["x-a", "Authorization"]}), "/forward_headers/1"),
        (json!({"forward_headers": ["hookyard-hops"]}), "/forward_headers/0"),
        (json!({"response": {"status": 200, "content_type": "x"}}), "/response/content_type"),
        (json!({"response": {"status": 200, "content_type": "/x"}}), "/response/content_type"),
        (json!({"response": {"status": 200, "content_type": "text/"}}), "/response/content_type"),
        (hmac(json!({"kind": "raw"}), timed("X-T")), "/verification/timestamp/from"),
        (hmac(kv(1, ","), timed("query:at")), "/verification/timestamp/from"),
        (hmac(kv(11, ","), timed("signature")), "/verification/signature/parse/sig"),
        (hmac(kv(1, ",,,,,,,,,"), timed("signature")), "/verification/signature/parse/pair"),
    ] {
        world.post(&sources, of(more.clone())).await.refuses(&[place]);
        world.patch(&source, more).await.refuses(&[place]);
    }
    for more in [
        json!({"extract": {"attributes": full}}),
        jwt("https://keys.hookyard.dev/x"),
        json!({"forward_headers": ["x-a", "content-type"]}),
        json!({"response": {"status": 200, "content_type": "text/xml; charset=utf-8"}}),
        hmac(kv(10, ",,,,,,,,"), timed("signature")),
    ] {
        world.patch(&source, more).await.is(200);
    }
}

#[tokio::test]
async fn what_is_no_json_of_ours_is_refused_by_its_kind() {
    let world = World::new().await;
    let send = async |content_type: &str, body: Vec<u8>| {
        let request = Request::builder().method(Method::POST).uri("/v1/tenants".parse().unwrap());
        let request = request.header("authorization", format!("Bearer {OPERATOR}")).content_type(content_type);
        let stream = futures_util::stream::once(async { Ok::<_, std::io::Error>(body) });
        let response = world.send(request.body(poem::Body::from_bytes_stream(stream))).await;
        Reply::read(response, &Method::POST, "/v1/tenants").await.status.as_u16()
    };
    assert_eq!(send("application/json", b"{".to_vec()).await, 400);
    assert_eq!(send("application/json", Vec::new()).await, 400);
    assert_eq!(send("application/json", b"[]".to_vec()).await, 422);
    assert_eq!(send("application/xml", b"<a/>".to_vec()).await, 415);
    assert_eq!(send("application/json", vec![b' '; crate::input::MAX_BODY + 1]).await, 413);
}

#[tokio::test]
async fn queries_know_their_names_only() {
    let world = World::new().await;
    world.get("/v1/providers?name=stripe").await.refuses(&["name"]);
    let path = |query: &str| format!("{}/deliveries?{query}", world.tenant);
    for (query, place) in [
        ("limit=0", "limit"),
        ("limit=251", "limit"),
        ("limit=many", "limit"),
        ("cursor=nonsense", "cursor"),
        ("stat=failed", "stat"),
        ("state=odd", "state"),
        ("event_id=dst_01h2xcejqtf2nbrexx3vqjhp41", "event_id"),
        ("after=yesterday", "after"),
        ("limit=1&limit=2", "limit"),
    ] {
        world.get(&path(query)).await.refuses(&[place]);
    }
    world.get(&path("limit=250&state=held&after=2026-01-01T00:00:00Z")).await.is(200);
}
