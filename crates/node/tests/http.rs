//! What holds for every endpoint.
#![allow(clippy::unwrap_used)]

mod kit;

use kit::Kit;
use serde_json::{Value, json};

/// A number that is read and written again must be the same, to the last digit.
#[tokio::test]
async fn doubles_survive_partial_updates_and_filters() {
    let kit = Kit::open();
    kit.json("PUT", "/i", json!({"mappings": {"dynamic": false}})).await;
    let text = r#"{"n":[207944272743910.94,0.1,5e-324,1.7976931348623157e308,0.30000000000000004,123456789.12345679]}"#;
    kit.raw("PUT", "/i/_doc/1", text).await;
    kit.json("POST", "/i/_update/1", json!({"doc": {"a": 1}})).await;
    let exact =
        "[207944272743910.94,0.1,5e-324,1.7976931348623157e+308,0.30000000000000004,123456789.12345679]";
    for path in ["/i/_doc/1", "/i/_doc/1?filter_path=_source.n", "/i/_source/1"] {
        let (_, _, body) = kit.exchange("GET", path, &[], "").await;
        let body = String::from_utf8(body).unwrap();
        assert!(body.contains(exact), "{path}: {body}");
    }
    let configuration = json!({"configuration": {"n": {"label": "N", "value": 207944272743910.94}}});
    kit.call("PUT", "/_connector/c").await;
    kit.json("PUT", "/_connector/c/_configuration", configuration).await;
    let (_, connector): (u16, Value) = kit.call("GET", "/_connector/c").await;
    assert_eq!(connector["configuration"]["n"]["value"].to_string(), "207944272743910.94");
}
