//! `_cat` and statistics through the router.
#![allow(clippy::unwrap_used)]

mod kit;

use kit::{Kit, error};
use serde_json::{Value, json};
use tributary_store::CreateIndex;

async fn two() -> Kit {
    let kit = Kit::open();
    kit.index("aa", Value::Null, &[("1", json!({"n": 1})), ("2", json!({"n": 2}))]).await;
    kit.store.create_index("long-name", CreateIndex::default()).unwrap();
    kit.index(".hid", Value::Null, &[("1", json!({"n": 1}))]).await;
    kit.store.put_alias("aa", "wr", json!({"is_write_index": true})).unwrap();
    kit.store.put_alias("long-name", "al", json!({})).unwrap();
    kit
}

const TEXT: &str = "text/plain; charset=UTF-8";

#[tokio::test]
async fn indices_are_a_table_of_chosen_columns() {
    let kit = two().await;
    let table = [
        (
            "/_cat/indices?v&h=health,status,index,pri,rep,docs.count",
            "health status index     pri rep docs.count\ngreen  open   aa          1   0          2\nyellow open   long-name   1   1          0\n",
        ),
        ("/_cat/indices?h=index,dc", "aa        2\nlong-name 0\n"),
        ("/_cat/indices?v&h=i,nothing,dc", "i         dc\naa         2\nlong-name  0\n"),
        ("/_cat/indices?h=index&s=index:desc", "long-name\naa\n"),
        ("/_cat/indices?h=index&s=docs.count,index", "long-name\naa\n"),
        ("/_cat/indices?h=index&expand_wildcards=all&s=index", ".hid\naa\nlong-name\n"),
        ("/_cat/indices/aa*?h=index", "aa\n"),
        ("/_cat/indices?h=index&health=yellow", "long-name\n"),
        ("/_cat/indices/nope*?v&h=index,dc", "index dc\n"),
        (
            "/_cat/indices?h=doc*&v",
            "docs.count docs.deleted\n         2            0\n         0            0\n",
        ),
    ];
    for (path, wanted) in table {
        assert_eq!(kit.text(path).await, (200, TEXT.to_owned(), wanted.to_owned()), "{path}");
    }
}

#[tokio::test]
async fn tables_are_json_when_asked_for() {
    let mut kit = two().await;
    let wanted = json!([{"index": "aa", "dc": "2"}, {"index": "long-name", "dc": "0"}]);
    assert_eq!(kit.call("GET", "/_cat/indices?format=json&h=index,dc").await, (200, wanted.clone()));
    kit.accept("application/json");
    assert_eq!(kit.call("GET", "/_cat/indices?h=index,dc").await, (200, wanted));
    let (_, answer) = kit.call("GET", "/_cat/indices/aa").await;
    let keys: Vec<&String> = answer[0].as_object().unwrap().keys().collect();
    let all = [
        "health",
        "status",
        "index",
        "uuid",
        "pri",
        "rep",
        "docs.count",
        "docs.deleted",
        "store.size",
        "pri.store.size",
        "dataset.size",
    ];
    assert_eq!(keys, all);
    kit.accept("text/plain");
    assert_eq!(kit.text("/_cat/count?h=count").await.2, "2\n");
}

#[tokio::test]
async fn the_other_tables_have_elasticsearchs_columns() {
    let kit = two().await;
    let table = [
        (
            "/_cat/aliases?v",
            "alias index     filter routing.index routing.search is_write_index\nwr    aa        -      -             -              true\nal    long-name -      -             -              -\n",
        ),
        ("/_cat/aliases/al?h=alias,index", "al long-name\n"),
        ("/_cat/aliases/nope?v&h=alias", "alias\n"),
        ("/_cat/count/aa?v&h=count", "count\n2\n"),
        ("/_cat/nodes?h=ip,master,name", "127.0.0.1 * tributary\n"),
        (
            "/_cat/health?v&ts=false",
            "cluster   status node.total node.data shards pri relo init unassign unassign.pri pending_tasks max_task_wait_time active_shards_percent\n\
             tributary yellow          1         1      3   3    0    0        1            0             0                  -                 75.0%\n",
        ),
    ];
    for (path, wanted) in table {
        assert_eq!(kit.text(path).await, (200, TEXT.to_owned(), wanted.to_owned()), "{path}");
    }
    let (_, answer) = kit.call("GET", "/_cat/health?format=json").await;
    assert_eq!(answer[0].as_object().unwrap().len(), 15);
    assert!(
        kit.text("/_cat/aliases?help")
            .await
            .2
            .starts_with("alias          | a                | alias name           \n")
    );
    assert!(kit.text("/_cat").await.2.contains("/_cat/indices/{index}\n"));
}

#[tokio::test]
async fn bad_wishes_are_refused() {
    let kit = two().await;
    let table = [
        ("/_cat/indices?s=zzz", 400, "Unable to sort by unknown sort key `zzz`"),
        ("/_cat/indices?v=foo", 400, "Failed to parse value [foo] as only [true] or [false] are allowed."),
        ("/_cat/indices?foo", 400, "request [/_cat/indices] contains unrecognized parameter: [foo]"),
        ("/_cat/indices/nope", 404, "no such index [nope]"),
        ("/_cat/indices?bytes=zz", 400, "Unknown byte unit [zz] in the parameter [bytes]"),
    ];
    for (path, status, reason) in table {
        let (found, answer) = kit.call("GET", path).await;
        assert_eq!((found, error(&answer).1), (status, reason), "{path}");
    }
    let (status, answer) = kit.call("POST", "/_cat/indices").await;
    assert_eq!(
        (status, answer),
        (
            405,
            json!({"error": "Incorrect HTTP method for uri [/_cat/indices] and method [POST], allowed: [GET]", "status": 405})
        )
    );
}

#[tokio::test]
async fn statistics_have_the_document_counts_that_the_command_line_reads() {
    let kit = two().await;
    let (status, answer) = kit.call("GET", "/_stats?expand_wildcards=all").await;
    assert_eq!(status, 200);
    assert_eq!(answer["indices"]["aa"]["primaries"]["docs"]["count"], json!(2));
    assert_eq!(answer["indices"][".hid"]["total"]["docs"]["count"], json!(1));
    assert_eq!(answer["_all"]["primaries"]["docs"]["count"], json!(3));
    assert!(answer["indices"]["aa"]["total"]["store"]["size_in_bytes"].is_u64());
}
