//! API keys, their roles and what they let through.
#![allow(clippy::unwrap_used, clippy::needless_pass_by_value)]

mod kit;

use kit::{Kit, basic, error, ids};
use serde_json::{Value, json};
use tributary_node::Security;

async fn offices() -> Kit {
    let kit = Kit::secured();
    let docs = [
        ("open", json!({"t": "for all"})),
        ("ann", json!({"t": "for ann", "acl": ["user:ann"]})),
        ("bob", json!({"t": "for bob", "acl": ["user:bob"]})),
    ];
    kit.index("docs", json!({"properties": {"acl": {"type": "keyword"}}}), &docs).await;
    kit.index("pub", Value::Null, &[("1", json!({"a": 1}))]).await;
    kit.index("sec", Value::Null, &[("1", json!({"a": 1}))]).await;
    kit
}

/// What the access control documents of connectors hold as their query.
fn template(identities: Value) -> Value {
    json!({"template": {
        "params": {"access_control": identities},
        "source": "{\"bool\": {\"should\": [{\"bool\": {\"must_not\": {\"exists\": {\"field\": \"acl\"}}}}, \
                   {\"terms\": {\"acl\": {{#toJson}}access_control{{/toJson}}}}]}}",
    }})
}

fn reader(names: Value, query: Value) -> Value {
    json!({"r": {"indices": [{"names": names, "privileges": ["read"], "query": query}]}})
}

fn refusal(action: &str, id: &str, index: &str, privileges: &str) -> Value {
    let reason = format!(
        "action [{action}] is unauthorized for API key id [{id}] of user [elastic] on indices [{index}], this action is granted by \
         the index privileges [{privileges}]"
    );
    let cause = json!({"type": "security_exception", "reason": reason});
    json!({"error": {"root_cause": [cause], "type": "security_exception", "reason": reason}, "status": 403})
}

#[tokio::test]
async fn nobody_comes_in_without_credentials() {
    let mut kit = offices().await;
    let table = [
        (None, "missing authentication credentials for REST request [/pub/_search]"),
        (
            Some(basic("elastic", "wrong")),
            "unable to authenticate user [elastic] for REST request [/pub/_search]",
        ),
        (
            Some("ApiKey bm86bm8=".to_owned()),
            "unable to authenticate with provided credentials and anonymous access is not allowed for this request",
        ),
        (Some("Foo x".to_owned()), "missing authentication credentials for REST request [/pub/_search]"),
    ];
    for (auth, reason) in table {
        kit.auth(auth.clone());
        let (status, answer) = kit.call("GET", "/pub/_search").await;
        assert_eq!((status, error(&answer)), (401, ("security_exception", reason)), "{auth:?}");
        assert!(answer["error"]["header"]["WWW-Authenticate"].is_array());
    }
}

#[tokio::test]
async fn a_key_is_made_shown_used_and_invalidated() {
    let mut kit = offices().await;
    let body = json!({"name": "mine", "expiration": "1d", "metadata": {"a": 1}});
    let (status, key) = kit.json("POST", "/_security/api_key", body).await;
    assert_eq!(status, 200);
    assert_eq!(
        key.as_object().unwrap().keys().collect::<Vec<_>>(),
        ["id", "name", "expiration", "api_key", "encoded"]
    );
    let id = key["id"].as_str().unwrap();
    let (_, shown) = kit.call("GET", &format!("/_security/api_key?id={id}")).await;
    let wanted = json!({"api_keys": [{
        "id": id, "name": "mine", "type": "rest", "creation": shown["api_keys"][0]["creation"], "expiration": key["expiration"],
        "invalidated": false, "username": "elastic", "realm": "default_file", "realm_type": "file", "metadata": {"a": 1},
        "role_descriptors": {},
    }]});
    assert_eq!(shown, wanted);
    assert!(!shown.to_string().contains(key["api_key"].as_str().unwrap()));
    kit.auth(Some(format!("ApiKey {}", key["encoded"].as_str().unwrap())));
    let (_, me) = kit.call("GET", "/_security/_authenticate").await;
    assert_eq!(
        (&me["username"], &me["authentication_type"], &me["api_key"]["id"]),
        (&json!("elastic"), &json!("api_key"), &json!(id))
    );
    assert_eq!(
        kit.call("GET", "/sec/_count").await.1["count"],
        json!(1),
        "a key without roles may do what its owner may"
    );
    kit.auth(Some(basic("elastic", "changeme")));
    let done = json!({"invalidated_api_keys": [id], "previously_invalidated_api_keys": [], "error_count": 0});
    assert_eq!(kit.json("DELETE", "/_security/api_key", json!({"ids": [id, "zz"]})).await, (200, done));
    let none = json!({"invalidated_api_keys": [], "previously_invalidated_api_keys": [], "error_count": 0});
    assert_eq!(kit.json("DELETE", "/_security/api_key", json!({"ids": [id]})).await, (200, none));
    assert_eq!(
        kit.call("GET", "/_security/api_key?name=mi*&active_only=true").await,
        (200, json!({"api_keys": []}))
    );
    assert_eq!(kit.call("GET", "/_security/api_key?id=zz").await, (404, json!({"api_keys": []})));
    kit.auth(Some(format!("ApiKey {}", key["encoded"].as_str().unwrap())));
    assert_eq!(kit.call("GET", "/pub/_search").await.0, 401);
}

#[tokio::test]
async fn keys_survive_a_restart_and_are_not_stored_in_clear() {
    let kit = offices().await;
    let (_, key) = kit.json("PUT", "/_security/api_key", json!({"name": "k"})).await;
    let stored = kit.store.meta_list("api_keys").unwrap();
    let secret = key["api_key"].as_str().unwrap();
    assert!(stored.iter().all(|(_, bytes)| !String::from_utf8_lossy(bytes).contains(secret)));
    let mut kit = kit.reopened(Security::with_user("elastic", "changeme"));
    kit.auth(Some(format!("ApiKey {}", key["encoded"].as_str().unwrap())));
    assert_eq!(kit.call("GET", "/pub/_count").await.1["count"], json!(1));
}

#[tokio::test]
async fn malformed_key_requests_are_refused_in_elasticsearchs_words() {
    let kit = offices().await;
    let role = |role: Value| json!({"name": "k", "role_descriptors": {"r": role}});
    let table = [
        (json!({}), "Required [name]"),
        (json!({"name": "k", "foo": 1}), "[1:13] [api_key_request] unknown field [foo]"),
        (json!({"name": "_x"}), "Validation Failed: 1: api key name may not begin with an underscore;"),
        (json!({"name": " "}), "Validation Failed: 1: api key name may not begin or end with whitespace;"),
        (
            json!({"name": "k", "metadata": {"_x": 1}}),
            "Validation Failed: 1: API key metadata keys may not start with [_];",
        ),
        (
            json!({"name": "k", "expiration": "x"}),
            "Failed to build [api_key_request] after last required field arrived",
        ),
        (role(json!({"foo": 1})), "[api_key_request] failed to parse field [role_descriptors]"),
        (
            role(json!({"indices": [{"names": ["a"]}]})),
            "[api_key_request] failed to parse field [role_descriptors]",
        ),
        (
            role(
                json!({"indices": [{"names": ["a"], "privileges": ["read"], "field_security": {"grant": ["x"]}}]}),
            ),
            "[field_security] of a role descriptor is not served by this node",
        ),
    ];
    for (body, reason) in table {
        let (status, answer) = kit.json("POST", "/_security/api_key", body.clone()).await;
        assert_eq!((status, error(&answer).1), (400, reason), "{body}");
    }
    let (_, answer) =
        kit.json("POST", "/_security/api_key", role(json!({"indices": [{"names": ["a"]}]}))).await;
    let reason = "failed to parse indices privileges for role [r]. missing required [privileges] field";
    assert_eq!(answer["error"]["root_cause"], json!([{"type": "parse_exception", "reason": reason}]));
    let (status, answer) = kit.json("POST", "/_security/api_key", role(json!({"cluster": ["zzz"]}))).await;
    assert_eq!(status, 400);
    assert!(
        error(&answer).1.starts_with("Validation Failed: 1: unknown cluster privilege [zzz]."),
        "{answer}"
    );
    let table = [
        (
            json!({}),
            "Validation Failed: 1: One of [api key id(s), api key name, username, realm name] must be specified if [owner] flag is false;",
        ),
        (
            json!({"ids": ["x"], "name": "x"}),
            "Validation Failed: 1: only one of [api key id(s), api key name] can be specified;",
        ),
    ];
    for (body, reason) in table {
        assert_eq!(error(&kit.json("DELETE", "/_security/api_key", body).await.1).1, reason);
    }
}

#[tokio::test]
async fn a_limited_key_reaches_only_its_indices() {
    let mut kit = offices().await;
    let roles = json!({"r": {"cluster": ["monitor"], "indices": [{"names": ["pub", "new*"], "privileges": ["read", "write"]}]}});
    let (id, auth) = kit.key(roles).await;
    kit.auth(Some(auth));
    let search = "indices:data/read/search";
    assert_eq!(kit.call("GET", "/sec/_search").await, (403, refusal(search, &id, "sec", "read,all")));
    assert_eq!(kit.call("GET", "/sec,pub/_search").await, (403, refusal(search, &id, "sec", "read,all")));
    assert_eq!(
        kit.call("GET", "/nope/_search").await,
        (403, refusal(search, &id, "nope", "read,all")),
        "tells nothing of what exists"
    );
    assert_eq!(kit.call("GET", "/newx/_search").await.0, 404);
    for path in ["/pub/_search", "/_search", "/*/_search", "/sec,pub/_search?ignore_unavailable=true"] {
        let (status, answer) = kit.call("GET", path).await;
        assert_eq!((status, &answer["_shards"]["total"]), (200, &json!(1)), "{path}");
    }
    assert_eq!(kit.call("POST", "/sec/_pit?keep_alive=1m").await.0, 403);
    assert_eq!(kit.call("GET", "/sec/_search?scroll=1m").await.0, 403);
    assert_eq!(kit.call("GET", "/sec/_count").await.0, 403);
    assert_eq!(
        kit.raw("POST", "/_msearch", "{\"index\":\"sec\"}\n{}\n").await.1["responses"][0]["status"],
        json!(403)
    );
    assert_eq!(
        kit.call("DELETE", "/pub").await,
        (403, refusal("indices:admin/delete", &id, "pub", "delete_index,manage,all"))
    );
    assert_eq!(
        kit.call("PUT", "/other").await,
        (403, refusal("indices:admin/create", &id, "other", "create_index,manage,all"))
    );
    assert_eq!(kit.call("PUT", "/sec/_alias/newalias").await.0, 403);
    assert_eq!(kit.call("GET", "/_cluster/health").await.0, 200);
    let (status, answer) = kit.call("GET", "/_cat/indices").await;
    let reason = format!(
        "action [indices:monitor/stats] is unauthorized for API key id [{id}] of user [elastic], this action is granted by the index \
         privileges [monitor,cross_cluster_replication,manage,all]"
    );
    assert_eq!((status, error(&answer).1), (403, reason.as_str()), "no index may be monitored");
}

#[tokio::test]
async fn a_right_to_an_index_is_none_to_its_aliases() {
    let mut kit = offices().await;
    assert_eq!(kit.call("PUT", "/pub,sec/_alias/both").await.0, 200);
    let (_, index) = kit.key(json!({"r": {"indices": [{"names": ["pub"], "privileges": ["read"]}]}})).await;
    let (_, alias) = kit.key(json!({"r": {"indices": [{"names": ["both"], "privileges": ["read"]}]}})).await;
    kit.auth(Some(index));
    assert_eq!(kit.call("GET", "/both/_search").await.0, 403);
    assert_eq!(kit.call("GET", "/pub/_search").await.0, 200);
    kit.auth(Some(alias));
    assert_eq!(kit.call("GET", "/both/_count").await.1["count"], json!(2));
    assert_eq!(kit.call("GET", "/pub/_search").await.0, 403);
    assert_eq!(kit.call("GET", "/b*/_count").await.1["count"], json!(2));
    assert_eq!(kit.call("GET", "/p*/_count").await.1["count"], json!(0));
}

#[tokio::test]
async fn cluster_privileges_guard_cluster_calls() {
    let mut kit = offices().await;
    let (id, auth) = kit.key(json!({"r": {"cluster": ["monitor_connector"]}})).await;
    kit.auth(Some(auth));
    let (status, answer) = kit.call("GET", "/").await;
    let reason = format!(
        "action [cluster:monitor/main] is unauthorized for API key id [{id}] of user [elastic], this action is granted by the cluster \
         privileges [monitor,manage,all]"
    );
    assert_eq!((status, error(&answer)), (403, ("security_exception", reason.as_str())));
    let (status, answer) = kit.json("POST", "/_security/api_key", json!({"name": "x"})).await;
    assert_eq!((status, error(&answer).0), (403, "security_exception"));
    assert_eq!(kit.call("GET", "/_security/api_key").await.0, 403);
    assert_eq!(kit.call("GET", "/_ingest/pipeline").await.0, 403);
    assert_eq!(kit.json("PUT", "/_index_template/x", json!({"index_patterns": ["x"]})).await.0, 403);
    for (method, path) in
        [("PUT", "/_connector/x/_check_in"), ("DELETE", "/_connector/x"), ("GET", "/_connector/_secret/x")]
    {
        let (status, answer) = kit.call(method, path).await;
        assert_eq!((status, error(&answer).0), (403, "security_exception"), "{method} {path}");
    }
    assert_eq!(kit.call("GET", "/_connector").await.0, 200);
}

#[tokio::test]
async fn a_connector_key_may_manage_connectors_but_not_their_secrets() {
    let mut kit = offices().await;
    let (_, auth) = kit.key(json!({"r": {"cluster": ["monitor", "manage_connector"]}})).await;
    kit.auth(Some(auth));
    assert_eq!(kit.json("PUT", "/_connector/c1", json!({"name": "c"})).await.0, 201);
    assert_eq!(kit.call("GET", "/_connector/c1").await.0, 200);
    assert_eq!(kit.json("POST", "/_connector/_secret", json!({"value": "x"})).await.0, 403);
    assert_eq!(
        kit.call("GET", "/.elastic-connectors/_search").await.0,
        403,
        "the index itself is another matter"
    );
}

#[tokio::test]
async fn a_limited_key_cannot_make_a_wider_one() {
    let mut kit = offices().await;
    let (id, auth) = kit.key(json!({"r": {"cluster": ["manage_own_api_key"]}})).await;
    kit.auth(Some(auth));
    let reason =
        "creating derived api keys requires an explicit role descriptor that is empty (has no privileges)";
    for body in [json!({"name": "x"}), json!({"name": "x", "role_descriptors": {"a": {"cluster": ["all"]}}})]
    {
        assert_eq!(error(&kit.json("POST", "/_security/api_key", body).await.1).1, reason);
    }
    let (status, made) =
        kit.json("POST", "/_security/api_key", json!({"name": "x", "role_descriptors": {"a": {}}})).await;
    assert_eq!(status, 200);
    assert_eq!(kit.call("GET", "/_security/api_key").await.0, 403, "it may see itself only");
    let (_, seen) = kit.call("GET", &format!("/_security/api_key?id={id}")).await;
    assert_eq!(seen["api_keys"].as_array().unwrap().len(), 1);
    kit.auth(Some(format!("ApiKey {}", made["encoded"].as_str().unwrap())));
    assert_eq!(kit.call("GET", "/pub/_search").await.0, 403);
    assert_eq!(kit.call("GET", "/_security/_authenticate").await.0, 200);
}

#[tokio::test]
async fn documents_are_hidden_from_search_count_scroll_and_points_in_time() {
    let mut kit = offices().await;
    let (_, auth) = kit.key(reader(json!(["docs"]), template(json!(["user:ann"])))).await;
    kit.auth(Some(auth));
    let (_, answer) = kit.call("GET", "/docs/_search?q=for&sort=_doc").await;
    assert_eq!(ids(&answer), ["open", "ann"]);
    assert_eq!(answer["hits"]["total"]["value"], json!(2));
    assert_eq!(kit.call("GET", "/docs/_count").await.1["count"], json!(2));
    assert_eq!(kit.call("GET", "/_cat/count/docs?h=count").await.1, json!(2));
    let aggs = json!({"size": 0, "aggs": {"who": {"terms": {"field": "acl"}}, "all": {"global": {}, "aggs": {"who": {"terms": {"field": "acl"}}}}}});
    let (_, answer) = kit.json("POST", "/docs/_search", aggs).await;
    assert!(answer.to_string().contains("user:ann") && !answer.to_string().contains("bob"), "{answer}");
    let unmatched = json!({"aggs": {"who": {"terms": {"field": "acl", "min_doc_count": 0}}}});
    let (status, answer) = kit.json("POST", "/docs/_search", unmatched).await;
    let reason = "[min_doc_count] of [0] cannot be used if document level security is enabled";
    assert_eq!((status, error(&answer).1), (400, reason));
    let (_, answer) = kit.call("GET", "/docs/_search?scroll=1m&size=1").await;
    let mut seen: Vec<String> = ids(&answer).into_iter().map(str::to_owned).collect();
    for _ in 0..3 {
        let (_, page) = kit
            .json("POST", "/_search/scroll", json!({"scroll_id": answer["_scroll_id"], "scroll": "1m"}))
            .await;
        seen.extend(ids(&page).into_iter().map(str::to_owned));
    }
    assert_eq!(seen, ["open", "ann"]);
    let (_, pit) = kit.call("POST", "/docs/_pit?keep_alive=1m").await;
    let (_, answer) = kit.json("POST", "/_search", json!({"pit": {"id": pit["id"]}})).await;
    assert_eq!(ids(&answer), ["open", "ann"]);
    let (_, answer) = kit.raw("POST", "/_msearch", "{\"index\":\"docs\"}\n{}\n").await;
    assert_eq!(ids(&answer["responses"][0]), ["open", "ann"]);
}

#[tokio::test]
async fn hidden_documents_cannot_be_got() {
    let mut kit = offices().await;
    let (_, auth) = kit.key(reader(json!(["docs"]), template(json!(["user:ann"])))).await;
    kit.auth(Some(auth));
    for (id, status) in [("open", 200), ("ann", 200), ("bob", 404)] {
        assert_eq!(kit.call("GET", &format!("/docs/_doc/{id}")).await.0, status, "{id}");
        assert_eq!(kit.call("GET", &format!("/docs/_source/{id}")).await.0, status, "{id}");
        assert_eq!(kit.call("HEAD", &format!("/docs/_doc/{id}")).await.0, status, "{id}");
    }
    let (_, answer) = kit.json("POST", "/docs/_mget", json!({"ids": ["ann", "bob"]})).await;
    assert_eq!((&answer["docs"][0]["found"], &answer["docs"][1]["found"]), (&json!(true), &json!(false)));
    // Written after the last refresh: the rule is applied to the document as it is now.
    let hide = tributary_store::WriteOp::new(
        "docs",
        Some("ann".into()),
        tributary_store::Action::Index(json!({"t": "moved", "acl": ["user:bob"]}).to_string().into()),
    );
    assert!(kit.store.write(vec![hide]).await[0].is_ok());
    assert_eq!(kit.call("GET", "/docs/_doc/ann").await.0, 404);
}

#[tokio::test]
async fn whoever_sees_a_part_cannot_update_or_delete_by_what_is_hidden() {
    let mut kit = offices().await;
    let roles = json!({"r": {"indices": [{"names": ["docs"], "privileges": ["read", "write", "maintenance"], "query": template(json!(["user:ann"]))}]}});
    let (_, auth) = kit.key(roles).await;
    kit.auth(Some(auth));
    let reason = "Can't execute an update request if field or document level security is enabled";
    let (status, answer) = kit.json("POST", "/docs/_update/bob", json!({"doc": {"x": 1}})).await;
    assert_eq!((status, error(&answer).1), (400, reason));
    let (status, answer) =
        kit.raw("POST", "/docs/_bulk", "{\"update\":{\"_id\":\"bob\"}}\n{\"doc\":{\"x\":1}}\n").await;
    let reason = "Can't execute a bulk item request with update requests embedded if field or document level security is \
                  enabled";
    assert_eq!((status, &answer["items"][0]["update"]["error"]["reason"]), (200, &json!(reason)), "{answer}");
    let (status, answer) =
        kit.json("POST", "/docs/_delete_by_query?refresh=true", json!({"query": {"match_all": {}}})).await;
    assert_eq!((status, &answer["deleted"]), (200, &json!(2)), "{answer}");
    assert!(kit.store.get("docs", "bob").unwrap().is_some());
}

#[tokio::test]
async fn writes_need_the_privilege_for_what_they_do() {
    let mut kit = offices().await;
    let (_, auth) =
        kit.key(json!({"r": {"indices": [{"names": ["pub", "new"], "privileges": ["create_doc"]}]}})).await;
    kit.auth(Some(auth));
    assert_eq!(kit.json("PUT", "/pub/_create/n1", json!({})).await.0, 201);
    assert_eq!(kit.json("PUT", "/pub/_doc/1", json!({})).await.0, 403);
    assert_eq!(kit.call("DELETE", "/pub/_doc/1").await.0, 403);
    assert_eq!(kit.call("GET", "/pub/_doc/1").await.0, 403);
    let (status, answer) = kit.json("PUT", "/new/_create/1", json!({})).await;
    assert_eq!(status, 403);
    assert!(error(&answer).1.contains("indices:admin/auto_create"), "{answer}");
    let bulk = "{\"create\":{\"_index\":\"pub\",\"_id\":\"n2\"}}\n{}\n{\"index\":{\"_index\":\"pub\",\"_id\":\"1\"}}\n{}\n\
                {\"delete\":{\"_index\":\"pub\",\"_id\":\"1\"}}\n{\"create\":{\"_index\":\"sec\",\"_id\":\"2\"}}\n{}\n";
    let (status, answer) = kit.raw("POST", "/_bulk", bulk).await;
    assert_eq!(status, 200, "{answer}");
    let items = answer["items"].as_array().unwrap();
    let statuses: Vec<u64> = items
        .iter()
        .map(|item| item.as_object().unwrap().values().next().unwrap()["status"].as_u64().unwrap())
        .collect();
    assert_eq!(statuses, [201, 403, 403, 403], "{answer}");
}

#[tokio::test]
async fn a_scroll_belongs_to_whoever_opened_it() {
    let mut kit = offices().await;
    let everything = json!({"r": {"indices": [{"names": ["*"], "privileges": ["read"]}]}});
    let (_, first) = kit.key(everything.clone()).await;
    let (_, second) = kit.key(everything).await;
    kit.auth(Some(first));
    let (_, answer) = kit.call("GET", "/docs/_search?scroll=1m&size=1").await;
    let id = &answer["_scroll_id"];
    kit.auth(Some(second));
    assert_eq!(kit.json("POST", "/_search/scroll", json!({"scroll_id": id, "scroll": "1m"})).await.0, 404);
    assert_eq!(kit.json("DELETE", "/_search/scroll", json!({"scroll_id": id})).await.0, 404);
}

#[tokio::test]
async fn a_point_in_time_shows_a_caller_only_what_that_caller_may_see() {
    let mut kit = offices().await;
    let (_, pit) = kit.call("POST", "/docs,sec/_pit?keep_alive=1m").await;
    let (_, auth) = kit.key(reader(json!(["docs"]), template(json!(["user:bob"])))).await;
    kit.auth(Some(auth));
    assert_eq!(kit.json("POST", "/_search", json!({"pit": {"id": pit["id"]}})).await.0, 403);
}

#[tokio::test]
async fn privileges_can_be_asked_for() {
    let mut kit = offices().await;
    let ask = json!({"cluster": ["monitor", "manage"], "index": [{"names": ["pub", "sec"], "privileges": ["read", "delete", "manage"]}]});
    let (_, answer) = kit.json("POST", "/_security/user/_has_privileges", ask.clone()).await;
    assert_eq!(answer["has_all_requested"], json!(true));
    let roles = json!({"r": {"cluster": ["monitor"], "indices": [{"names": ["pub"], "privileges": ["read", "write"]}]}});
    let (_, auth) = kit.key(roles).await;
    kit.auth(Some(auth));
    let wanted = json!({
        "username": "elastic", "has_all_requested": false, "cluster": {"monitor": true, "manage": false},
        "index": {"pub": {"read": true, "delete": true, "manage": false}, "sec": {"read": false, "delete": false, "manage": false}},
        "application": {},
    });
    assert_eq!(kit.json("POST", "/_security/user/_has_privileges", ask).await, (200, wanted));
    let (status, answer) = kit.json("POST", "/_security/user/_has_privileges", json!({})).await;
    let reason = "failed to parse privileges check [elastic/has_privileges]. All privilege fields [cluster,index,applications] are missing";
    assert_eq!((status, error(&answer)), (400, ("parse_exception", reason)));
}

#[tokio::test]
async fn a_key_can_be_changed_by_its_owner() {
    let mut kit = offices().await;
    let (id, auth) = kit.key(json!({"r": {"indices": [{"names": ["pub"], "privileges": ["read"]}]}})).await;
    let change =
        json!({"role_descriptors": {"r": {"indices": [{"names": ["sec"], "privileges": ["read"]}]}}});
    let path = format!("/_security/api_key/{id}");
    assert_eq!(kit.json("PUT", &path, change.clone()).await, (200, json!({"updated": true})));
    assert_eq!(kit.json("PUT", &path, change).await, (200, json!({"updated": false})));
    assert_eq!(kit.json("PUT", "/_security/api_key/zz", json!({})).await.0, 404);
    kit.auth(Some(auth));
    assert_eq!((kit.call("GET", "/pub/_count").await.0, kit.call("GET", "/sec/_count").await.0), (403, 200));
}

#[tokio::test]
async fn without_authentication_everybody_may_do_everything() {
    let kit = Kit::open();
    let (_, me) = kit.call("GET", "/_security/_authenticate").await;
    assert_eq!((&me["username"], &me["authentication_type"]), (&json!("_anonymous"), &json!("anonymous")));
    assert_eq!(kit.json("POST", "/_security/api_key", json!({"name": "k"})).await.0, 200);
}

#[tokio::test]
async fn a_pipeline_that_redirects_a_write_does_not_get_around_the_privileges() {
    let mut kit = offices().await;
    let pipeline = json!({"processors": [{"set": {"field": "_index", "value": "sec"}}]});
    assert_eq!(kit.json("PUT", "/_ingest/pipeline/redirect", pipeline).await.0, 200);
    let role = json!({"r": {"indices": [{"names": ["pub"], "privileges": ["all"]}]}});
    let (_, header) = kit.key(role).await;
    kit.auth(Some(header));
    let lines = "{\"index\":{\"_index\":\"pub\",\"_id\":\"9\"}}\n{\"a\":1}\n";
    let (status, answer) = kit.raw("POST", "/_bulk?pipeline=redirect", lines).await;
    let item = &answer["items"][0]["index"];
    assert_eq!((status, &item["status"]), (200, &json!(403)), "{answer}");
    assert_eq!(item["error"]["type"], "security_exception", "{answer}");
    let (status, answer) = kit.json("PUT", "/pub/_doc/9?pipeline=redirect", json!({"a": 1})).await;
    assert_eq!((status, error(&answer).0), (403, "security_exception"), "{answer}");
    kit.auth(Some(basic("elastic", "changeme")));
    assert_eq!(kit.call("GET", "/sec/_doc/9").await.0, 404, "nothing was written");
    assert_eq!(kit.call("GET", "/pub/_doc/9").await.0, 404);
}

/// What is wrong with a request is told before what its sender may not do (connector-api 2.5).
#[tokio::test]
async fn who_may_not_do_it_is_told_first_what_is_wrong_with_the_request() {
    let mut kit = Kit::secured();
    kit.json("PUT", "/_connector/c", json!({"index_name": "i", "service_type": "s"})).await;
    let job = kit.json("POST", "/_connector/_sync_job", json!({"id": "c"})).await.1["id"].to_string();
    let job = format!("/_connector/_sync_job/{}", job.trim_matches('"'));
    let (_, key) = kit.key(json!({"r": {"cluster": ["monitor"]}})).await;
    kit.auth(Some(key));
    let (parse, validation) = ("x_content_parse_exception", "action_request_validation_exception");
    let (illegal, absent) = ("illegal_argument_exception", "parse_exception");
    let table = [
        ("PUT", "/_connector/c/_name".to_owned(), r#"{"zz":1}"#, parse),
        ("PUT", "/_connector/c/_name".to_owned(), "{}", validation),
        ("PUT", "/_connector/c/_name".to_owned(), "", absent),
        ("PUT", "/_connector/c/_check_in".to_owned(), "{}", illegal),
        ("PUT", "/_connector/c/_check_in?foo=1".to_owned(), "", illegal),
        ("POST", "/_connector".to_owned(), r#"{"index_name":"_a"}"#, validation),
        ("GET", "/_connector?size=-1".to_owned(), "", illegal),
        ("GET", "/_connector?index_name=_a".to_owned(), "", validation),
        ("POST", "/_connector/_sync_job".to_owned(), r#"{"id":""}"#, validation),
        ("GET", "/_connector/_sync_job?status=x".to_owned(), "", illegal),
        ("PUT", format!("{job}/_claim"), "{}", illegal),
        ("PUT", format!("{job}/_error"), r#"{"error":""}"#, validation),
        ("POST", "/_connector/_secret".to_owned(), "{}", validation),
        ("PUT", "/_connector/_secret/s".to_owned(), r#"{"value":1}"#, parse),
    ];
    for (method, path, body, es_type) in table {
        let (status, answer) = match body {
            "" => kit.call(method, &path).await,
            body => kit.raw(method, &path, body).await,
        };
        assert_eq!((status, error(&answer).0), (400, es_type), "{method} {path} {body}: {answer}");
    }
    let good = [
        ("PUT", "/_connector/c/_name".to_owned(), r#"{"name":"n"}"#),
        ("PUT", "/_connector/absent/_status".to_owned(), r#"{"status":"error"}"#),
        ("POST", "/_connector".to_owned(), "{}"),
        ("GET", "/_connector".to_owned(), ""),
        ("DELETE", "/_connector/c".to_owned(), ""),
        ("PUT", format!("{job}/_claim"), r#"{"worker_hostname":"w"}"#),
        ("POST", "/_connector/_secret".to_owned(), r#"{"value":"v"}"#),
    ];
    for (method, path, body) in good {
        let (status, answer) = match body {
            "" => kit.call(method, &path).await,
            body => kit.raw(method, &path, body).await,
        };
        assert_eq!((status, error(&answer).0), (403, "security_exception"), "{method} {path}: {answer}");
    }
}
