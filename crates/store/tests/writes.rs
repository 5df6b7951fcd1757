//! Writing: versions, conditions, what search sees when, mappings, indices that come and go.
#![allow(clippy::unwrap_used)]

mod common;

use common::{Fixture, ids, index_op};
use serde_json::{Value, json};
use tributary_store::{
    Action, Condition, CreateIndex, ErrorKind, Outcome, Query, ResolveOptions, SearchRequest, UpdateAction,
    VersionType, WriteOp,
};

fn delete(id: &str) -> WriteOp {
    WriteOp::new("i", Some(id.to_owned()), Action::Delete)
}

fn create(id: &str, source: &Value) -> WriteOp {
    WriteOp::new("i", Some(id.to_owned()), Action::Create(source.to_string().into()))
}

fn with(mut op: WriteOp, condition: Condition) -> WriteOp {
    op.condition = condition;
    op
}

fn if_seq_no(seq_no: u64) -> Condition {
    Condition { if_seq_no: Some(seq_no), if_primary_term: Some(1), version: None }
}

fn external(version: u64, kind: VersionType) -> Condition {
    Condition { version: Some((version, kind)), ..Condition::default() }
}

#[tokio::test]
async fn versions_and_sequence_numbers_count_up() {
    let fixture = Fixture::with_index("i", json!({}));
    let steps = [
        (index_op("i", "1", &json!({"a": 1})), Outcome::Created, 1, 0),
        (index_op("i", "1", &json!({"a": 2})), Outcome::Updated, 2, 1),
        (index_op("i", "2", &json!({"a": 1})), Outcome::Created, 1, 2),
        (delete("1"), Outcome::Deleted, 3, 3),
        (delete("1"), Outcome::NotFound, 4, 4),
        // A deleted document's versions go on.
        (index_op("i", "1", &json!({})), Outcome::Created, 5, 5),
        (delete("never"), Outcome::NotFound, 1, 6),
    ];
    for (op, outcome, version, seq_no) in steps {
        let shown = format!("{op:?}");
        let result = fixture.write(op).await.unwrap();
        assert_eq!((result.result, result.version, result.seq_no), (outcome, version, seq_no), "{shown}");
    }
    let info = fixture.store.index("i").unwrap();
    assert_eq!((info.doc_count, info.max_seq_no), (2, Some(6)));
}

#[tokio::test]
async fn a_document_without_an_id_gets_one() {
    let fixture = Fixture::with_index("i", json!({}));
    let op = |n: u64| WriteOp::new("i", None, Action::Index(json!({"n": n}).to_string().into()));
    let results = fixture.store.write(vec![op(1), op(2)]).await;
    let made: Vec<String> = results.into_iter().map(|result| result.unwrap().id).collect();
    assert!(made[0] != made[1] && made.iter().all(|id| id.len() == 20));
    assert!(fixture.store.get("i", &made[0]).unwrap().is_some());
}

#[tokio::test]
async fn creating_what_exists_is_a_conflict() {
    let fixture = Fixture::with_index("i", json!({}));
    fixture.write(create("1", &json!({"a": 1}))).await.unwrap();
    let error = fixture.write(create("1", &json!({"a": 2}))).await.unwrap_err();
    assert_eq!((error.kind(), error.status()), (ErrorKind::VersionConflict, 409));
    assert_eq!(error.reason(), "[1]: version conflict, document already exists (current version [1])");
    fixture.write(delete("1")).await.unwrap();
    assert_eq!(fixture.write(create("1", &json!({"a": 3}))).await.unwrap().result, Outcome::Created);
}

#[tokio::test]
async fn a_write_whose_sequence_number_is_old_changes_nothing() {
    let fixture = Fixture::with_index("i", json!({}));
    let first = fixture.put("i", "1", json!({"a": 1})).await.unwrap();
    let second =
        fixture.write(with(index_op("i", "1", &json!({"a": 2})), if_seq_no(first.seq_no))).await.unwrap();
    for op in [index_op("i", "1", &json!({"a": 3})), delete("1")] {
        let error = fixture.write(with(op, if_seq_no(first.seq_no))).await.unwrap_err();
        assert_eq!(
            error.reason(),
            "[1]: version conflict, required seqNo [0], primary term [1]. current document has seqNo [1] and primary term [1]"
        );
    }
    assert_eq!(fixture.store.get("i", "1").unwrap().unwrap().seq_no, second.seq_no);
    let error = fixture.write(with(delete("2"), if_seq_no(0))).await.unwrap_err();
    assert_eq!(
        error.reason(),
        "[2]: version conflict, required seqNo [0], primary term [1]. but no document was found"
    );
}

#[tokio::test]
async fn of_many_writers_with_one_sequence_number_one_wins() {
    let fixture = Fixture::with_index("i", json!({}));
    let seen = fixture.put("i", "1", json!({})).await.unwrap().seq_no;
    let writers = (0..16).map(|n| {
        let store = fixture.store.clone();
        async move { store.write(vec![with(index_op("i", "1", &json!({"by": n})), if_seq_no(seen))]).await }
    });
    let mut won = 0;
    let mut tasks = tokio::task::JoinSet::new();
    writers.for_each(|writer| {
        tasks.spawn(writer);
    });
    while let Some(done) = tasks.join_next().await {
        won += usize::from(done.unwrap()[0].is_ok());
    }
    assert_eq!(won, 1);
}

#[tokio::test]
async fn external_versions_only_grow() {
    let fixture = Fixture::with_index("i", json!({}));
    let put = |version, kind| with(index_op("i", "1", &json!({})), external(version, kind));
    assert_eq!(fixture.write(put(10, VersionType::External)).await.unwrap().version, 10);
    assert!(fixture.write(put(10, VersionType::External)).await.is_err());
    assert_eq!(fixture.write(put(10, VersionType::ExternalGte)).await.unwrap().version, 10);
    assert!(fixture.write(put(9, VersionType::ExternalGte)).await.is_err());
    let gone = fixture.write(with(delete("1"), external(20, VersionType::External))).await.unwrap();
    assert_eq!((gone.version, gone.result), (20, Outcome::Deleted));
    // An older write that comes late does not bring the document back.
    assert!(fixture.write(put(15, VersionType::External)).await.is_err());
    assert_eq!(fixture.store.get("i", "1").unwrap(), None);
}

#[tokio::test]
async fn one_failing_write_of_a_bulk_does_not_touch_the_others() {
    let fixture =
        Fixture::with_index("i", json!({"dynamic": "strict", "properties": {"n": {"type": "long"}}}));
    let ops = vec![
        index_op("i", "1", &json!({"n": 1})),
        index_op("i", "2", &json!({"n": "x"})),
        index_op("missing", "3", &json!({})),
        index_op("i", "4", &json!({"other": 1})),
        WriteOp::new("i", Some("5".to_owned()), Action::Index("{\"n\": 1".into())),
        index_op("i", "1", &json!({"n": 6})),
    ];
    let results = fixture.store.write(ops).await;
    let types: Vec<&str> = results
        .iter()
        .map(|result| result.as_ref().map_or_else(|e| e.es_type(), |r| r.result.as_str()))
        .collect();
    let wanted = [
        "created",
        "document_parsing_exception",
        "index_not_found_exception",
        "strict_dynamic_mapping_exception",
        "document_parsing_exception",
        "updated",
    ];
    assert_eq!(types, wanted);
    assert_eq!(fixture.store.index("i").unwrap().doc_count, 1);
}

#[tokio::test]
async fn an_update_sees_the_document_and_decides() {
    let fixture = Fixture::with_index("i", json!({}));
    let update = |decide: Box<dyn Fn(u64) -> UpdateAction + Send>| {
        let decide = Box::new(move |doc: Option<&tributary_store::Doc>| {
            let n = doc.map_or(0, |doc| {
                serde_json::from_slice::<Value>(&doc.source).unwrap()["n"].as_u64().unwrap()
            });
            Ok(decide(n))
        });
        WriteOp::new("i", Some("1".to_owned()), Action::Update(decide))
    };
    let add = || update(Box::new(|n| UpdateAction::Put(json!({"n": n + 1}).to_string().into())));
    let results = fixture.store.write(vec![add(), add(), add()]).await;
    assert_eq!(results[2].as_ref().unwrap().version, 3);
    let noop = fixture.write(update(Box::new(|_| UpdateAction::Noop))).await.unwrap();
    assert_eq!((noop.result, noop.version, noop.seq_no), (Outcome::Noop, 3, 2));
    assert_eq!(&fixture.store.get("i", "1").unwrap().unwrap().source[..], br#"{"n":3}"#);
    let gone = fixture.write(update(Box::new(|_| UpdateAction::Delete))).await.unwrap();
    assert_eq!(gone.result, Outcome::Deleted);
    let failing = WriteOp::new("i", Some("1".to_owned()), Action::Update(Box::new(|_| panic!("boom"))));
    assert_eq!(fixture.write(failing).await.unwrap_err().kind(), ErrorKind::Internal);
    assert!(fixture.put("i", "2", json!({})).await.is_ok(), "the writer lives on");
}

#[tokio::test]
async fn sources_come_back_byte_for_byte() {
    let fixture = Fixture::with_index("i", json!({}));
    let source = "{ \"b\":1.50,  \"a\":\"\\u00e9\\n\", \"big\":1234567890123456789 }";
    let op = WriteOp::new("i", Some("1".to_owned()), Action::Index(source.into()));
    fixture.write(op).await.unwrap();
    assert_eq!(fixture.store.get("i", "1").unwrap().unwrap().source, source);
    fixture.refresh("i").await;
    let hits = fixture.search("i", json!({})).await.unwrap().hits;
    assert_eq!(hits[0].source.as_ref().unwrap(), source);
}

#[tokio::test]
async fn get_is_at_once_and_search_after_a_refresh() {
    let fixture = Fixture::new();
    let settings = json!({"refresh_interval": "-1"});
    fixture.store.create_index("i", CreateIndex { settings, ..CreateIndex::default() }).unwrap();
    fixture.put("i", "1", json!({"a": 1})).await.unwrap();
    fixture.refresh("i").await;
    let all = json!({"match_all": {}});
    assert_eq!(fixture.ids("i", all.clone()).await, ["1"]);
    fixture.put("i", "1", json!({"a": 2})).await.unwrap();
    fixture.put("i", "2", json!({"a": 1})).await.unwrap();
    assert_eq!(&fixture.store.get("i", "1").unwrap().unwrap().source[..], br#"{"a":2}"#);
    // Search still answers from before, the old source included.
    let before = fixture.search("i", json!({"query": {"term": {"a": 1}}})).await.unwrap();
    assert_eq!(ids(&before), ["1"]);
    assert_eq!(&before.hits[0].source.as_ref().unwrap()[..], br#"{"a":1}"#);
    fixture.refresh("i").await;
    assert_eq!(fixture.ids("i", json!({"term": {"a": 1}})).await, ["2"]);
    assert_eq!(fixture.ids("i", json!({"term": {"a": 2}})).await, ["1"]);
}

#[tokio::test]
async fn writes_become_visible_by_themselves_within_the_refresh_interval() {
    let fixture = Fixture::new();
    let settings = json!({"index": {"refresh_interval": "100ms"}});
    fixture.store.create_index("i", CreateIndex { settings, ..CreateIndex::default() }).unwrap();
    fixture.search("i", json!({})).await.unwrap();
    fixture.put("i", "1", json!({})).await.unwrap();
    for _ in 0..100 {
        if fixture.ids("i", json!({"match_all": {}})).await.len() == 1 {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    unreachable!("the write did not become visible in 5 s");
}

#[tokio::test]
async fn unmapped_fields_get_the_types_of_elasticsearch() {
    let fixture = Fixture::with_index("i", json!({}));
    let source = json!({
        "text": "some words", "long": 5, "double": 1.5, "flag": true, "date": "2024-01-15T10:00:00Z", "day": "2024/01/15",
        "nothing": null, "empty": [], "object": {"inner": 1}, "list": ["a", "b"], "list_of_objects": [{"x": 1}, {"y": "z"}],
    });
    fixture.put("i", "1", source).await.unwrap();
    let text = json!({"type": "text", "fields": {"keyword": {"type": "keyword", "ignore_above": 256}}});
    let wanted = json!({"properties": {
        "date": {"type": "date"},
        "day": {"type": "date", "format": "yyyy/MM/dd HH:mm:ss||yyyy/MM/dd||epoch_millis"},
        "double": {"type": "float"}, "flag": {"type": "boolean"}, "list": text.clone(),
        "list_of_objects": {"properties": {"x": {"type": "long"}, "y": text.clone()}},
        "long": {"type": "long"}, "object": {"properties": {"inner": {"type": "long"}}}, "text": text,
    }});
    assert_eq!(fixture.store.index("i").unwrap().mappings, wanted);
}

#[tokio::test]
async fn a_value_of_another_type_is_refused_and_leaves_the_mapping_alone() {
    let fixture = Fixture::with_index("i", json!({}));
    fixture.put("i", "1", json!({"n": 1})).await.unwrap();
    let error = fixture.put("i", "2", json!({"n": "abc", "fresh": 1})).await.unwrap_err();
    assert_eq!((error.kind(), error.status()), (ErrorKind::DocumentParsing, 400));
    assert!(error.reason().contains("failed to parse field [n] of type [long]"), "{error}");
    fixture.put("i", "3", json!({"n": "7"})).await.unwrap();
    let error = fixture.put("i", "4", json!({"n": {"inner": 1}})).await.unwrap_err();
    assert_eq!(error.status(), 400);
    assert_eq!(fixture.store.index("i").unwrap().mappings, json!({"properties": {"n": {"type": "long"}}}));
    fixture.refresh("i").await;
    assert_eq!(fixture.ids("i", json!({"range": {"n": {"gte": 7}}})).await, ["3"]);
}

#[tokio::test]
async fn two_writers_that_bring_a_field_at_once_agree_on_its_type() {
    let fixture = Fixture::with_index("i", json!({}));
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..20 {
        let store = fixture.store.clone();
        let source = if n % 2 == 0 { json!({"field": n}) } else { json!({"field": format!("text {n}")}) };
        tasks.spawn(async move { store.write(vec![index_op("i", &n.to_string(), &source)]).await.remove(0) });
    }
    let mut stored = 0;
    while let Some(done) = tasks.join_next().await {
        stored += u64::from(done.unwrap().is_ok());
    }
    assert_eq!(fixture.store.index("i").unwrap().doc_count, stored);
    fixture.refresh("i").await;
    let exists = fixture.store.count(&["i".to_owned()], &Query::exists("field")).await.unwrap();
    assert_eq!(exists, stored);
}

#[tokio::test]
async fn mappings_grow_but_types_do_not_change() {
    let fixture = Fixture::with_index("i", json!({"properties": {"n": {"type": "long"}}}));
    fixture.store.put_mapping("i", &json!({"properties": {"k": {"type": "keyword"}}})).unwrap();
    let error = fixture.store.put_mapping("i", &json!({"properties": {"n": {"type": "text"}}})).unwrap_err();
    assert_eq!(error.reason(), "mapper [n] cannot be changed from type [long] to [text]");
    let wanted = json!({"properties": {"k": {"type": "keyword"}, "n": {"type": "long"}}});
    assert_eq!(fixture.store.index("i").unwrap().mappings, wanted);
}

#[tokio::test]
async fn a_deleted_index_is_gone_and_its_name_free() {
    let mut fixture = Fixture::with_index("i", json!({}));
    fixture.store.put_alias("i", "other", Value::Null).unwrap();
    fixture.fill("i", &[json!({"a": 1}), json!({"a": 2})]).await;
    fixture.store.delete_index("i").unwrap();
    assert_eq!(fixture.store.get("i", "1").unwrap_err().kind(), ErrorKind::IndexNotFound);
    assert_eq!(fixture.search("i", json!({})).await.unwrap_err().status(), 404);
    assert!(fixture.store.resolve("other", ResolveOptions::default()).is_err());
    fixture.create("i", json!({}));
    assert_eq!(fixture.store.index("i").unwrap().doc_count, 0);
    assert!(fixture.ids("i", json!({"match_all": {}})).await.is_empty());
    fixture.put("i", "1", json!({"b": 1})).await.unwrap();
    fixture.reopen();
    assert_eq!(&fixture.store.get("i", "1").unwrap().unwrap().source[..], br#"{"b":1}"#);
    assert_eq!(fixture.ids("i", json!({"match_all": {}})).await, ["1"]);
}

#[tokio::test]
async fn everything_is_there_after_opening_again() {
    let mut fixture = Fixture::with_index("i", json!({"properties": {"k": {"type": "keyword"}}}));
    fixture.store.put_alias("i", "alias", json!({"is_write_index": true})).unwrap();
    fixture.store.put_settings("i", &json!({"refresh_interval": "5s"})).unwrap();
    fixture.store.meta_put("keys", "a", "value".into()).unwrap();
    fixture.fill("i", &[json!({"k": "x", "new": 1.5}), json!({"k": "y"})]).await;
    fixture.write(delete("2")).await.unwrap();
    let before = fixture.store.index("i").unwrap();
    let uuid = fixture.store.cluster_uuid().to_owned();
    fixture.reopen();
    let after = fixture.store.index("alias").unwrap();
    assert_eq!(
        (after.name, after.uuid, after.mappings, after.settings),
        (before.name, before.uuid, before.mappings, before.settings)
    );
    assert_eq!((after.doc_count, after.max_seq_no), (1, Some(2)));
    assert_eq!(fixture.store.cluster_uuid(), uuid);
    assert_eq!(fixture.store.meta_get("keys", "a").unwrap().unwrap(), "value");
    assert_eq!(fixture.ids("i", json!({"range": {"new": {"gt": 1}}})).await, ["1"]);
    assert!(fixture.ids("i", json!({"term": {"k": "y"}})).await.is_empty());
    assert_eq!(fixture.put("i", "2", json!({})).await.unwrap().version, 3);
}

#[tokio::test]
async fn a_store_closed_while_it_is_searched_can_be_opened_again_at_once() {
    let mut fixture = Fixture::with_index("i", json!({}));
    let sources: Vec<Value> = (0..3_000).map(|n| json!({"n": n, "text": "some words to find"})).collect();
    fixture.fill("i", &sources).await;
    for _ in 0..5 {
        let mut searches = tokio::task::JoinSet::new();
        for _ in 0..4 {
            let store = fixture.store.clone();
            searches.spawn(async move {
                let body = json!({"size": 1000, "query": {"match": {"text": "words"}}, "sort": ["n"]});
                let mut request = SearchRequest::parse(&body).unwrap();
                request.indices = vec!["i".to_owned()];
                store.search(request).await.map(|response| response.hits.len())
            });
        }
        tokio::task::yield_now().await;
        fixture.reopen();
        while let Some(done) = searches.join_next().await {
            match done.unwrap() {
                Ok(hits) => assert_eq!(hits, 1_000),
                Err(error) => assert_eq!(error.kind(), ErrorKind::Closed),
            }
        }
    }
}

#[tokio::test]
async fn a_closed_store_says_so() {
    let fixture = Fixture::with_index("i", json!({}));
    fixture.store.close();
    assert_eq!(fixture.put("i", "1", json!({})).await.unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(fixture.store.get("i", "1").unwrap_err().kind(), ErrorKind::Closed);
    let request = SearchRequest::new(vec!["i".to_owned()]);
    assert_eq!(fixture.store.search(request).await.unwrap_err().kind(), ErrorKind::Closed);
    fixture.store.close();
}

#[tokio::test]
async fn a_scan_passes_every_document_once_in_order() {
    let fixture = Fixture::with_index("i", json!({}));
    let sources: Vec<Value> = (0..25).map(|n| json!({"n": n})).collect();
    fixture.fill("i", &sources).await;
    fixture.write(delete("3")).await.unwrap();
    let (mut seen, mut from) = (Vec::new(), None);
    loop {
        let page = fixture.store.scan("i", from, 10).unwrap();
        seen.extend(page.docs.into_iter().map(|doc| doc.seq_no));
        match page.next {
            Some(next) => from = Some(next),
            None => break,
        }
    }
    assert_eq!(seen, (0..25).filter(|seq| *seq != 2).collect::<Vec<u64>>());
}

#[tokio::test]
async fn large_documents_become_searchable_without_delay() {
    let fixture = Fixture::with_index("i", json!({"properties": {"body": {"type": "text", "index": false}}}));
    let body = "text ".repeat(40_000);
    let op = |n: usize| index_op("i", &n.to_string(), &json!({"n": n, "body": body}));
    let begin = std::time::Instant::now();
    for from in (0..150).step_by(50) {
        let results = fixture.store.write((from..from + 50).map(op).collect()).await;
        assert!(results.iter().all(Result::is_ok));
    }
    fixture.refresh("i").await;
    let found = fixture.store.count(&["i".to_owned()], &Query::match_all()).await.unwrap();
    assert_eq!(found, 150);
    assert!(begin.elapsed().as_secs() < 25, "took {:?}", begin.elapsed());
}

/// An update that counts how often the document was updated.
fn counting(index: &str, id: &str) -> WriteOp {
    let decide = |doc: Option<&tributary_store::Doc>| {
        let n =
            doc.map_or(0, |doc| serde_json::from_slice::<Value>(&doc.source).unwrap()["n"].as_u64().unwrap());
        Ok(UpdateAction::Put(json!({"n": n + 1}).to_string().into()))
    };
    WriteOp::new(index, Some(id.to_owned()), Action::Update(Box::new(decide)))
}

#[tokio::test]
async fn an_update_sees_what_others_wrote_since_the_last_one() {
    let fixture = Fixture::with_index("i", json!({}));
    let add = || counting("i", "1");
    let stored =
        || fixture.store.get("i", "1").unwrap().map(|doc| String::from_utf8(doc.source.to_vec()).unwrap());
    fixture.write(add()).await.unwrap();
    fixture.write(add()).await.unwrap();
    assert_eq!(stored().unwrap(), r#"{"n":2}"#);
    // Worked out ahead from what the last update left, all of these would count on from there.
    fixture.put("i", "1", json!({"n": 40})).await.unwrap();
    fixture.write(add()).await.unwrap();
    assert_eq!(stored().unwrap(), r#"{"n":41}"#);
    fixture.write(WriteOp::new("i", Some("1".to_owned()), Action::Delete)).await.unwrap();
    let again = fixture.write(add()).await.unwrap();
    assert_eq!(
        (stored().unwrap().as_str(), again.result, again.version),
        (r#"{"n":1}"#, Outcome::Created, 6)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn updates_of_the_same_documents_at_once_lose_nothing() {
    let fixture = std::sync::Arc::new(Fixture::with_index("i", json!({})));
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..16_u64 {
        let fixture = std::sync::Arc::clone(&fixture);
        tasks.spawn(async move {
            for n in 0..50 {
                fixture.write(counting("i", &((task + n) % 3).to_string())).await.unwrap();
            }
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap();
    }
    let count = |id: &str| {
        let doc = fixture.store.get("i", id).unwrap().unwrap();
        let n = serde_json::from_slice::<Value>(&doc.source).unwrap()["n"].as_u64().unwrap();
        assert_eq!(doc.version, n, "each update is a version");
        n
    };
    assert_eq!(count("0") + count("1") + count("2"), 16 * 50);
}
