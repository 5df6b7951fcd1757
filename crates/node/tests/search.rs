//! `_search`, `_count` and `_msearch` through the router.
#![allow(clippy::unwrap_used)]

mod kit;

use kit::{Kit, error, ids, steady};
use serde_json::{Value, json};

async fn animals() -> Kit {
    let kit = Kit::open();
    let docs = [
        ("1", json!({"t": "fox one", "n": 1})),
        ("2", json!({"t": "fox two", "n": 2})),
        ("3", json!({"t": "fox three", "n": 3})),
    ];
    kit.index("aa", Value::Null, &docs).await;
    kit.index("ab", Value::Null, &[("x", json!({"t": "fox", "n": 9}))]).await;
    kit.index(".hid", Value::Null, &[("h", json!({"t": "fox", "n": 5}))]).await;
    kit.store.put_alias("ab", "al", json!({})).unwrap();
    kit
}

#[tokio::test]
async fn a_search_answers_in_elasticsearchs_shape() {
    let kit = animals().await;
    let (status, answer) =
        kit.call("GET", "/aa/_search?q=t:fox&size=1&sort=n:desc&version=true&seq_no_primary_term=true").await;
    assert_eq!(status, 200);
    let wanted = json!({
        "took": 0, "timed_out": false, "_shards": {"total": 1, "successful": 1, "skipped": 0, "failed": 0},
        "hits": {"total": {"value": 3, "relation": "eq"}, "max_score": null, "hits": [{
            "_index": "aa", "_id": "3", "_version": 1, "_seq_no": 2, "_primary_term": 1, "_score": null,
            "_source": {"t": "fox three", "n": 3}, "sort": [3],
        }]},
    });
    assert_eq!(steady(answer), wanted);
    let (_, answer) = kit.call("GET", "/aa/_search?size=1&track_total_hits=false").await;
    let wanted = json!({
        "took": 0, "timed_out": false, "_shards": {"total": 1, "successful": 1, "skipped": 0, "failed": 0},
        "hits": {"max_score": 1.0, "hits": [{"_index": "aa", "_id": "1", "_score": 1.0, "_source": {"t": "fox one", "n": 1}}]},
    });
    assert_eq!(steady(answer), wanted);
}

#[tokio::test]
async fn wildcards_match_what_is_not_hidden_unless_asked() {
    let kit = animals().await;
    let table = [
        ("/_search?sort=n", vec!["1", "2", "3", "x"]),
        ("/_all/_search?sort=n&expand_wildcards=all", vec!["1", "2", "3", "h", "x"]),
        ("/a*/_search?sort=n", vec!["1", "2", "3", "x"]),
        ("/.h*/_search", vec!["h"]),
        ("/.hid/_search", vec!["h"]),
        ("/aa,al/_search?sort=n:desc", vec!["x", "3", "2", "1"]),
        ("/a*,-ab/_search?sort=n", vec!["1", "2", "3"]),
        ("/aa,nope/_search?sort=n&ignore_unavailable=true", vec!["1", "2", "3"]),
    ];
    for (path, wanted) in table {
        let (status, answer) = kit.call("GET", path).await;
        assert_eq!((status, ids(&answer)), (200, wanted), "{path}");
    }
}

#[tokio::test]
async fn no_index_at_all_finds_nothing_or_is_an_error_as_asked() {
    let kit = animals().await;
    let (status, answer) = kit.call("GET", "/nope*/_search").await;
    let wanted = json!({
        "took": 0, "timed_out": false, "_shards": {"total": 0, "successful": 0, "skipped": 0, "failed": 0},
        "hits": {"total": {"value": 0, "relation": "eq"}, "max_score": 0.0, "hits": []},
    });
    assert_eq!((status, steady(answer)), (200, wanted));
    let missing = json!({"error": {
        "root_cause": [{
            "type": "index_not_found_exception", "reason": "no such index [nope]", "resource.type": "index_or_alias",
            "resource.id": "nope", "index_uuid": "_na_", "index": "nope",
        }],
        "type": "index_not_found_exception", "reason": "no such index [nope]", "resource.type": "index_or_alias",
        "resource.id": "nope", "index_uuid": "_na_", "index": "nope",
    }, "status": 404});
    for path in
        ["/nope/_search", "/nope/_search?ignore_unavailable=true&allow_no_indices=false", "/nope/_count"]
    {
        assert_eq!(kit.call("GET", path).await, (404, missing.clone()), "{path}");
    }
}

#[tokio::test]
async fn totals_can_be_bare_numbers_when_they_are_exact() {
    let kit = animals().await;
    let total = async |path: &str| kit.call("GET", path).await.1["hits"]["total"].clone();
    assert_eq!(total("/aa/_search?rest_total_hits_as_int=true").await, json!(3));
    assert_eq!(total("/aa/_search?rest_total_hits_as_int=true&track_total_hits=false").await, json!(-1));
    assert_eq!(total("/aa/_search?track_total_hits=2").await, json!({"value": 2, "relation": "gte"}));
    let (status, answer) =
        kit.call("GET", "/aa/_search?rest_total_hits_as_int=true&track_total_hits=5").await;
    let reason =
        "[rest_total_hits_as_int] cannot be used if the tracking of total hits is not accurate, got 5";
    assert_eq!((status, error(&answer)), (400, ("illegal_argument_exception", reason)));
}

#[tokio::test]
async fn source_parameters_choose_parts_of_the_source() {
    let kit = animals().await;
    let table = [
        ("_source=t", json!({"t": "fox one"})),
        ("_source_includes=n", json!({"n": 1})),
        ("_source_excludes=n", json!({"t": "fox one"})),
        ("_source=t&_source_excludes=t", json!({})),
    ];
    for (params, wanted) in table {
        let (_, answer) = kit.call("GET", &format!("/aa/_search?size=1&sort=n&{params}")).await;
        assert_eq!(answer["hits"]["hits"][0]["_source"], wanted, "{params}");
    }
    let (_, answer) = kit.call("GET", "/aa/_search?size=1&_source=false").await;
    assert!(answer["hits"]["hits"][0].get("_source").is_none());
}

#[tokio::test]
async fn parameters_win_over_the_body() {
    let kit = animals().await;
    let body = json!({"query": {"match_none": {}}, "size": 0, "sort": [{"n": "asc"}], "_source": false});
    let (_, answer) = kit.json("POST", "/aa/_search?q=fox&size=2&sort=n:desc&_source=true", body).await;
    assert_eq!(ids(&answer), ["3", "2"]);
    assert_eq!(answer["hits"]["hits"][0]["_source"]["n"], json!(3));
    let (_, answer) = kit
        .json("GET", "/aa/_search", json!({"query": {"range": {"n": {"gte": 2}}}, "sort": ["n"], "from": 1}))
        .await;
    assert_eq!(ids(&answer), ["3"]);
}

#[tokio::test]
async fn bad_parameters_are_refused_in_elasticsearchs_words() {
    let kit = animals().await;
    let table = [
        ("size=-1", "[size] parameter cannot be negative, found [-1]"),
        ("from=-1", "[from] parameter cannot be negative but was [-1]"),
        ("size=abc", "Failed to parse int parameter [size] with value [abc]"),
        ("q=fox&default_operator=zz", "No enum constant org.elasticsearch.index.query.Operator.ZZ"),
        ("search_type=zz", "No search type for [zz]"),
        ("expand_wildcards=foo", "No valid expand wildcard value [foo]"),
        ("foo=1", "request [/aa/_search] contains unrecognized parameter: [foo]"),
        (
            "scroll=abc",
            "failed to parse setting [scroll] with value [abc] as a time value: unit is missing or unrecognized",
        ),
        ("version=x", "Failed to parse value [x] as only [true] or [false] are allowed."),
    ];
    for (params, reason) in table {
        let (status, answer) = kit.call("GET", &format!("/aa/_search?{params}")).await;
        assert_eq!((status, error(&answer)), (400, ("illegal_argument_exception", reason)), "{params}");
    }
}

#[tokio::test]
async fn bad_bodies_are_refused_in_elasticsearchs_words() {
    let kit = animals().await;
    let table = [
        ("{\"query\":{\"zzzzz\":{}}}", "parsing_exception", "unknown query [zzzzz]"),
        (
            "{\"query\":{\"range\":{\"n\":{\"gte\":1,\"zz\":1}}}}",
            "parsing_exception",
            "[range] query does not support [zz]",
        ),
        ("[]", "parsing_exception", "Expected [START_OBJECT] but found [START_ARRAY]"),
        ("{", "x_content_e_o_f_exception", "[1:2] Unexpected end of file"),
        ("{\"foo\":1}", "parsing_exception", "Unknown key for a VALUE_NUMBER in [foo]."),
        ("{\"pit\":{}}", "illegal_argument_exception", "point in time id is not provided"),
        ("{\"pit\":{\"id\":\"a\",\"foo\":1}}", "x_content_parse_exception", "[pit] unknown field [foo]"),
        (
            "{\"suggest\":{}}",
            "illegal_argument_exception",
            "[suggest] in a search is not supported by the embedded node",
        ),
    ];
    for (body, es_type, reason) in table {
        let (status, answer) = kit.raw("POST", "/aa/_search", body).await;
        assert_eq!((status, error(&answer)), (400, (es_type, reason)), "{body}");
    }
}

#[tokio::test]
async fn what_only_an_index_can_refuse_is_a_failed_search() {
    let kit = animals().await;
    let (status, answer) = kit.call("GET", "/aa/_search?sort=zzz").await;
    assert_eq!((status, error(&answer)), (400, ("search_phase_execution_exception", "all shards failed")));
    assert_eq!(answer["error"]["root_cause"][0]["type"], "query_shard_exception");
    assert_eq!(answer["error"]["root_cause"][0]["reason"], "No mapping found for [zzz] in order to sort on");
    assert_eq!(answer["error"]["failed_shards"][0]["index"], "aa");
    let (status, answer) = kit.call("GET", "/aa/_search?size=20000").await;
    assert_eq!(
        (status, &answer["error"]["root_cause"][0]["type"]),
        (400, &json!("illegal_argument_exception"))
    );
    let reason = answer["error"]["root_cause"][0]["reason"].as_str().unwrap();
    assert!(
        reason.starts_with(
            "Result window is too large, from + size must be less than or equal to: [10000] but was [20000]."
        ),
        "{reason}"
    );
}

#[tokio::test]
async fn counting_counts_what_matches() {
    let kit = animals().await;
    let shards = json!({"total": 1, "successful": 1, "skipped": 0, "failed": 0});
    assert_eq!(kit.call("GET", "/aa/_count").await, (200, json!({"count": 3, "_shards": shards})));
    assert_eq!(kit.call("GET", "/aa/_count?q=n:%3E1").await.1["count"], json!(2));
    let (status, answer) = kit.json("POST", "/_count", json!({"query": {"term": {"n": 9}}})).await;
    assert_eq!((status, &answer["count"], &answer["_shards"]["total"]), (200, &json!(1), &json!(2)));
    assert_eq!(kit.call("GET", "/nope*/_count").await.1["_shards"]["total"], json!(0));
    let (status, answer) = kit.json("POST", "/aa/_count", json!({"size": 1})).await;
    assert_eq!((status, error(&answer)), (400, ("parsing_exception", "request does not support [size]")));
}

#[tokio::test]
async fn each_search_of_many_has_its_own_answer() {
    let kit = animals().await;
    let body =
        "{\"index\":\"aa\"}\n{\"query\":{\"term\":{\"n\":2}}}\n{\"index\":\"nope\"}\n{}\n{}\n{\"size\":0}\n";
    let (status, answer) = kit.raw("POST", "/_msearch", body).await;
    assert_eq!(status, 200);
    let responses = answer["responses"].as_array().unwrap();
    assert_eq!(responses.len(), 3);
    assert_eq!((ids(&responses[0]), &responses[0]["status"]), (vec!["2"], &json!(200)));
    assert_eq!((error(&responses[1]).0, &responses[1]["status"]), ("index_not_found_exception", &json!(404)));
    assert_eq!(responses[2]["hits"]["total"]["value"], json!(4));
    let (status, answer) = kit.raw("POST", "/_msearch", "{}\n{}").await;
    assert_eq!(
        (status, error(&answer).1),
        (400, "The msearch request must be terminated by a newline [\\n]")
    );
    let (status, answer) = kit.raw("POST", "/_msearch", "{\"foo\":1}\n{}\n").await;
    assert_eq!((status, error(&answer).1), (400, "key [foo] is not supported in the metadata section"));
}
