//! What holds for every endpoint: methods, media types and the forms of bodies, escapes, and the values of parameters.
//! The expected answers are those of Elasticsearch 9.4.
#![allow(clippy::unwrap_used)]

mod kit;

use kit::live::Live;
use kit::{Kit, error};
use serde_json::{Value, json};

const ILLEGAL: &str = "illegal_argument_exception";

#[tokio::test]
async fn options_tells_what_a_path_takes() {
    let kit = Kit::open();
    for (path, wanted) in [
        ("/_connector", "GET,POST,PUT"),
        ("/_connector/c", "GET,PUT,DELETE"),
        ("/_connector/c/_name", "PUT"),
        ("/_connector/_sync_job/j/_cancel", "PUT"),
        ("/i/_search", "GET,POST"),
        ("/i/_doc/1", "GET,POST,PUT,DELETE,HEAD"),
    ] {
        let (status, headers, body) = kit.exchange("OPTIONS", path, &[], "").await;
        assert_eq!((status, body.as_slice()), (200, &b""[..]), "{path}");
        assert_eq!(headers["allow"], wanted, "{path}");
        assert_eq!(headers["content-type"], "text/plain; charset=UTF-8", "{path}");
    }
    let (status, headers, _) = kit.exchange("OPTIONS", "/_nothing/here/at/all", &[], "").await;
    assert_eq!((status, headers.get("allow")), (200, None));
}

#[tokio::test]
async fn the_answers_type_follows_the_clients_headers() {
    let kit = Kit::open();
    let vendor = "application/vnd.elasticsearch+json";
    type Row<'r> = (&'r [(&'r str, &'r str)], &'r str, u16, &'r str);
    let table: [Row<'_>; 8] = [
        (&[("accept", "application/json; charset=UTF-8")], "", 200, "application/json;charset=utf-8"),
        (&[("accept", vendor)], "", 200, vendor),
        (&[("content-type", "application/yaml")], "", 200, "application/yaml"),
        (
            &[("accept", "application/json"), ("content-type", "application/yaml")],
            "",
            200,
            "application/json",
        ),
        (&[("accept", "")], "", 400, "application/json"),
        (&[("content-type", "foo")], "", 400, "application/json"),
        (&[("content-type", "text/plain")], "x", 406, "application/json"),
        // Of a header that is wrong nothing is taken over.
        (
            &[
                ("accept", "application/vnd.elasticsearch+json;compatible-with=9"),
                ("content-type", "application/json"),
            ],
            "{}",
            400,
            "application/json",
        ),
    ];
    for (headers, body, status, wanted) in table {
        let (found, answered, _) = kit.exchange("GET", "/_connector", headers, body).await;
        assert_eq!(found, status, "{headers:?}");
        assert_eq!(answered["content-type"], wanted, "{headers:?}");
    }
}

#[tokio::test]
async fn bodies_and_answers_may_be_yaml_cbor_or_smile() {
    let kit = Kit::open();
    kit.call("PUT", "/_connector/c").await;
    let name = |form: &str| -> Vec<u8> {
        match form {
            "yaml" => b"name: from yaml\n".to_vec(),
            "cbor" => b"\xbfdnameifrom cbor\xff".to_vec(),
            _ => b":)\n\x01\xfa\x83name\x49from smile\xfb".to_vec(),
        }
    };
    for form in ["yaml", "cbor", "smile"] {
        let media = format!("application/{form}");
        let typed = [("content-type", media.as_str())];
        let (status, headers, _) = kit.exchange("PUT", "/_connector/c/_name", &typed, name(form)).await;
        assert_eq!((status, headers["content-type"].to_str().unwrap()), (200, media.as_str()));
        assert_eq!(kit.call("GET", "/_connector/c").await.1["name"], format!("from {form}"));
        let refused = kit.exchange("PUT", "/_connector/c/_name", &typed, b"\xffno such form".to_vec()).await;
        assert_eq!(refused.0, 400, "{form}");
    }
    let (_, headers, body) =
        kit.exchange("GET", "/_connector/c?format=yaml&filter_path=id,status", &[], "").await;
    assert_eq!(headers["content-type"], "application/yaml");
    assert_eq!(body, b"---\nid: \"c\"\nstatus: \"created\"\n");
    let (_, headers, body) =
        kit.exchange("GET", "/_connector/c?filter_path=id", &[("accept", "application/cbor")], "").await;
    assert_eq!(headers["content-type"], "application/cbor");
    assert_eq!(body, b"\xbfbidac\xff");
    // Lines are read as JSON only.
    let yaml = [("content-type", "application/yaml")];
    assert_eq!(kit.exchange("POST", "/_bulk", &yaml, "index: {}\n").await.0, 406);
}

#[tokio::test]
async fn a_byte_order_mark_is_stepped_over() {
    let kit = Kit::open();
    kit.call("PUT", "/_connector/c").await;
    let (status, _) = kit.raw("PUT", "/_connector/c/_name", "\u{feff}{\"name\":\"n\"}").await;
    assert_eq!(status, 200);
    assert_eq!(kit.raw("PUT", "/i/_doc/1", "\u{feff}{\"a\":1}").await.0, 201);
    assert_eq!(kit.call("GET", "/i/_doc/1").await.1["_source"], json!({"a": 1}));
}

/// The helper `reindex` of the official clients asks this, and takes no other refusal.
#[tokio::test]
async fn no_index_is_a_data_stream() {
    let kit = Kit::open();
    kit.call("PUT", "/i").await;
    for path in ["/_data_stream", "/_data_stream/*", "/_data_stream/i*?expand_wildcards=all"] {
        assert_eq!(kit.call("GET", path).await, (200, json!({"data_streams": []})), "{path}");
    }
    let (status, answer) = kit.call("GET", "/_data_stream/i?expand_wildcards=all").await;
    assert_eq!((status, error(&answer)), (404, ("index_not_found_exception", "no such index [i]")));
}

#[tokio::test]
async fn bodies_may_be_packed() {
    let kit = Kit::open();
    let deflated = b"\x78\x9c\xab\x56\x4a\x54\xb2\x32\xac\x05\x00\x08\x2a\x02\x09";
    for (encoding, body, status) in
        [("deflate", &deflated[..], 201), ("deflate", b"no", 400), ("br", b"{}", 415)]
    {
        let headers = [("content-type", "application/json"), ("content-encoding", encoding)];
        assert_eq!(kit.exchange("POST", "/i/_doc", &headers, body.to_vec()).await.0, status, "{encoding}");
    }
}

#[tokio::test]
async fn answers_are_packed_for_whom_it_suits() {
    let live = Live::start(|_| {}).await;
    let mut wire = live.connect().await;
    for (header, packed) in
        [("", false), ("Accept-Encoding: gzip\r\n", true), ("Accept-Encoding: br\r\n", false)]
    {
        wire.send(format!("GET /_connector HTTP/1.1\r\nHost: n\r\n{header}\r\n").as_bytes()).await.unwrap();
        let (status, headers, body) = wire.answer().await.unwrap();
        assert_eq!((status, headers.contains("content-encoding: gzip")), (200, packed), "{header}");
        assert_eq!(body.starts_with(b"\x1f\x8b"), packed, "{header}");
    }
    live.stop().await;
}

#[tokio::test]
async fn halves_of_surrogate_pairs_become_the_replacement_character() {
    let kit = Kit::open();
    assert_eq!(kit.raw("PUT", "/i/_doc/1", r#"{"a":"x\ud800y","b":"\ud83d\ude00"}"#).await.0, 201);
    let stored = json!({"a": "x\u{fffd}y", "b": "😀"});
    assert_eq!(kit.call("GET", "/i/_doc/1?filter_path=_source").await, (200, json!({"_source": stored})));
    assert_eq!(kit.json("POST", "/i/_update/1", json!({"doc": {"c": 1}})).await.0, 200);
    kit.raw("PUT", "/_connector/c", r#"{"name":"\ud800"}"#).await;
    assert_eq!(kit.call("GET", "/_connector/c").await.1["name"], "\u{fffd}");
}

#[tokio::test]
async fn a_parameter_may_stand_for_the_body_where_queries_are_sent() {
    let kit = Kit::open();
    kit.json("PUT", "/i/_doc/1?refresh=true", json!({"a": 1})).await;
    let typed = "source_content_type=application/json";
    let (status, answer) = kit.call("GET", &format!("/i/_search?source=%7B%22size%22:0%7D&{typed}")).await;
    assert_eq!((status, &answer["hits"]["hits"]), (200, &json!([])));
    for (method, path, reason) in [
        (
            "GET",
            "/i/_search?source=%7B%7D",
            "Validation Failed: 1: source and source_content_type parameters are required;",
        ),
        (
            "GET",
            "/i/_search?source=a&source_content_type=text/plain",
            "Validation Failed: 1: Unknown value for source_content_type [text/plain];",
        ),
        ("GET", "/i/_search?source=a&source_content_type=foo", "invalid Content-Type header [foo]"),
        (
            "GET",
            "/_connector?source=%7B%7D",
            "request [/_connector] contains unrecognized parameter: [source]",
        ),
        (
            "GET",
            "/i/_search?source_content_type=a/b",
            "request [/i/_search] contains unrecognized parameter: [source_content_type]",
        ),
    ] {
        let (status, answer) = kit.call(method, path).await;
        assert_eq!((status, error(&answer).1), (400, reason), "{path}");
    }
    assert_eq!(kit.call("PUT", &format!("/_connector/c/_name?source=%7B%7D&{typed}")).await.0, 400);
}

#[tokio::test]
async fn escapes_in_a_path_are_read_as_utf_8_whatever_they_are() {
    let kit = Kit::open();
    for (path, id) in
        [("/_connector/a%2Fb", "a/b"), ("/_connector/%e4", "\u{fffd}"), ("/_connector/a+b", "a+b")]
    {
        assert_eq!(kit.call("PUT", path).await, (201, json!({"id": id, "result": "created"})));
        assert_eq!(kit.call("GET", path).await.1["id"], id);
    }
    for (path, reason) in [
        ("/_connector/%", "unterminated escape sequence at end of string: /_connector/%"),
        ("/_connector/%4", "partial escape sequence at end of string: /_connector/%4"),
        ("/_connector/%zz/_name", "invalid escape sequence `%zz' at index 12 of: /_connector/%zz/_name"),
    ] {
        let (status, answer) = kit.call("GET", path).await;
        assert_eq!((status, error(&answer)), (400, (ILLEGAL, reason)), "{path}");
    }
    let (status, answer) = kit.call("GET", "/_connector?query=%zz").await;
    let reason = "java.lang.IllegalArgumentException: invalid escape sequence `%zz' at index 0 of: %zz";
    assert_eq!((status, error(&answer)), (400, ("bad_parameter_exception", reason)));
}

/// Also of parameters that the node does not need to know.
#[tokio::test]
async fn values_of_another_kind_are_refused_everywhere() {
    let kit = Kit::open();
    kit.json("PUT", "/i/_doc/1?refresh=true", json!({"t": "x"})).await;
    let flag = "Failed to parse value [x] as only [true] or [false] are allowed.";
    let indices = "Could not convert [ignore_unavailable] to boolean";
    let time = "failed to parse setting [master_timeout] with value [x] as a time value: unit is missing or unrecognized";
    let lonely =
        "request [/i/_search] contains parameters [df, lenient] but missing query string parameter 'q'.";
    for (path, reason) in [
        ("/i/_doc/1?realtime=x", flag),
        ("/i/_search?explain=x", flag),
        ("/i/_search?ignore_unavailable=x", indices),
        ("/i/_search?df=a&lenient", lonely),
        ("/i/_mapping?ignore_unavailable=x", indices),
        ("/i/_alias?master_timeout=x", time),
        ("/_cluster/health?master_timeout=x", time),
        ("/_ingest/pipeline?master_timeout=x", time),
    ] {
        let (status, answer) = kit.call("GET", path).await;
        assert_eq!((status, error(&answer)), (400, (ILLEGAL, reason)), "{path}");
    }
    for path in [
        "/i/_search?timeout=-1",
        "/i/_search?timeout=10S",
        "/_cluster/health?timeout=0",
        "/i/_search?q=x&df=t",
    ] {
        assert_eq!(kit.call("GET", path).await.0, 200, "{path}");
    }
}

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
