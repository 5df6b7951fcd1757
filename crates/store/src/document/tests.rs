use std::collections::BTreeMap;

use serde_json::json;

use super::flat::Number;
use super::*;
use crate::error::StoreError;
use crate::mapping::Limits;

#[allow(clippy::needless_pass_by_value)]
fn mapping(value: serde_json::Value) -> Arc<Mapping> {
    Arc::new(Mapping::new(&value, BTreeMap::new(), Arc::default(), Limits::default()).unwrap())
}

fn read(mapping: &Arc<Mapping>, source: &str) -> Result<FlatDoc> {
    match flatten(mapping, Some("1"), &Bytes::copy_from_slice(source.as_bytes()))? {
        Flattened::Ready(flat) => Ok(flat),
        Flattened::NewFields(fields) => read(&Arc::new(mapping.with_new_fields(&fields)?), source),
    }
}

fn table_mapping() -> Arc<Mapping> {
    mapping(json!({"dynamic": "strict", "properties": {
        "n": {"type": "long"}, "i": {"type": "integer"}, "sh": {"type": "short"}, "t": {"type": "text"}, "d": {"type": "date"},
        "b": {"type": "boolean"}, "o": {"properties": {"k": {"type": "keyword"}}}, "e": {"type": "object", "enabled": false},
        "k": {"type": "keyword"}, "f": {"type": "float"}, "ip": {"type": "ip"},
    }}))
}

fn reason(error: &StoreError) -> String {
    let cause = error.caused_by().map(|c| format!(" <- {}: {}", c.es_type, c.reason)).unwrap_or_default();
    format!("{}: {}{cause}", error.es_type(), error.reason())
}

/// Taken from a real Elasticsearch 9.4 answer by answer; sources echoed by its JSON parser are left out.
#[test]
fn what_does_not_fit_is_refused_in_elasticsearchs_words() {
    let mapping = table_mapping();
    let fail = |at: &str, field: &str, ty: &str, preview: &str, cause: &str| {
        format!(
            "document_parsing_exception: [{at}] failed to parse field [{field}] of type [{ty}] in document with id '1'. Preview \
             of field's value: '{preview}' <- {cause}"
        )
    };
    let number = "illegal_argument_exception: For input string:";
    let table = [
        (r#"{"n":"abc"}"#, fail("1:6", "n", "long", "abc", &format!("{number} \"abc\""))),
        (r#"{"n":{"a":1}}"#, fail("1:12", "n", "long", "{a=1}", "illegal_argument_exception: Cannot parse object as number")),
        (r#"{"n":[1,"x"]}"#, fail("1:9", "n", "long", "x", &format!("{number} \"x\""))),
        (r#"{"n":99999999999999999999}"#, fail("1:6", "n", "long", "99999999999999999999", "x_content_parse_exception: Numeric value (99999999999999999999) out of range of long (-9223372036854775808 - 9223372036854775807)")),
        (r#"{"i":99999999999}"#, fail("1:6", "i", "integer", "99999999999", "x_content_parse_exception: Numeric value (99999999999) out of range of int (-2147483648 - 2147483647)")),
        (r#"{"sh":40000}"#, fail("1:7", "sh", "short", "40000", "x_content_parse_exception: Numeric value (40000) out of range of Java short")),
        (r#"{"n":true}"#, fail("1:6", "n", "long", "true", "x_content_parse_exception: Current token (VALUE_TRUE) not numeric, can not use numeric value accessors")),
        (r#"{"t":{"a":1}}"#, fail("1:12", "t", "text", "{a=1}", "illegal_argument_exception: Expected text at 1:6 but found START_OBJECT")),
        (r#"{"d":"xyz"}"#, fail("1:6", "d", "date", "xyz", "illegal_argument_exception: failed to parse date field [xyz] with format [strict_date_optional_time||epoch_millis]")),
        (r#"{"d":{"a":1}}"#, fail("1:12", "d", "date", "{a=1}", "illegal_argument_exception: Cannot parse object or array as a date value")),
        (r#"{"b":"xyz"}"#, fail("1:6", "b", "boolean", "xyz", "illegal_argument_exception: Failed to parse value [xyz] as only [true] or [false] are allowed.")),
        (r#"{"b":1}"#, fail("1:6", "b", "boolean", "1", "x_content_parse_exception: Current token (VALUE_NUMBER_INT) not of boolean type")),
        (r#"{"f":"abc"}"#, fail("1:6", "f", "float", "abc", "number_format_exception: For input string: \"abc\"")),
        (r#"{"f":1e40}"#, fail("1:6", "f", "float", "Infinity", "illegal_argument_exception: [float] supports only finite values, but got [Infinity]")),
        (r#"{"ip":"zzz"}"#, fail("1:7", "ip", "ip", "zzz", "illegal_argument_exception: 'zzz' is not an IP string literal.")),
        (r#"{"o":5}"#, "document_parsing_exception: [1:6] object mapping for [o] tried to parse field [o] as object, but found a concrete value".into()),
        (r#"{"o":[{"k":1},5]}"#, "document_parsing_exception: [1:15] object mapping for [o] tried to parse field [null] as object, but found a concrete value".into()),
        (r#"{"new":1}"#, "strict_dynamic_mapping_exception: [1:8] mapping set to strict, dynamic introduction of [new] within [_doc] is not allowed".into()),
        (r#"{"o":{"new":1}}"#, "strict_dynamic_mapping_exception: [1:13] mapping set to strict, dynamic introduction of [new] within [o] is not allowed".into()),
        ("[1]", "document_parsing_exception: Malformed content, must start with an object".into()),
        (r#"{"n":1}{"#, "illegal_argument_exception: Malformed content, found extra data after parsing: START_OBJECT".into()),
        (r#"{"":1}"#, "document_parsing_exception: [1:2] failed to parse: field name cannot be an empty string <- illegal_argument_exception: field name cannot be an empty string".into()),
        (r#"{"a..b":1}"#, "document_parsing_exception: [1:2] failed to parse: field name cannot contain only whitespace: ['a..b'] <- illegal_argument_exception: field name cannot contain only whitespace: ['a..b']".into()),
    ];
    for (source, wanted) in table {
        assert_eq!(reason(&read(&mapping, source).unwrap_err()), wanted, "{source}");
    }
    for source in [r#"{"n":"#, r#"{"n":1,}"#, r#"{"n":1,"n":2}"#, ""] {
        assert_eq!(read(&mapping, source).unwrap_err().es_type(), "document_parsing_exception", "{source}");
    }
    for source in [
        r#"{"n":1.5}"#,
        r#"{"n":"1.7"}"#,
        r#"{"t":[1,true,"x",null]}"#,
        r#"{"b":""}"#,
        r#"{"e":5}"#,
        r#"{"o.k":1,"o":{"k":2}}"#,
        "{}",
    ] {
        assert!(read(&mapping, source).is_ok(), "{source}");
    }
}

#[test]
fn values_are_flattened() {
    let mapping = table_mapping();
    let flat = read(&mapping, r#"{"n":["1.7",2],"o":[{"k":"a"},{"k":["b","c\n"]}],"b":"true","d":"1970-01-01T00:00:01Z","t":["x y","z"],"f":0.1}"#).unwrap();
    assert_eq!(flat.numbers_of("n"), [Number::Int(1), Number::Int(2)]);
    assert_eq!(flat.keywords_of("o.k"), ["a", "b", "c\n"]);
    assert_eq!(flat.numbers_of("b"), [Number::Int(1)]);
    assert_eq!(flat.numbers_of("d"), [Number::Int(1000)]);
    assert_eq!(flat.texts_of("t"), ["x y", "z"]);
    assert_eq!(flat.numbers_of("t"), [Number::Int(3)], "the number of words");
    assert_eq!(flat.numbers_of("f"), [Number::Float(f64::from(0.1f32))]);
}

#[test]
fn unknown_fields_are_mapped_as_elasticsearch_does() {
    let empty = mapping(json!({}));
    let source = r#"{"s":"hello","i":1,"f":1.5,"b":true,"d":"2024-01-01","o":{"x":"y"},"n":null,"ea":[],"ia":[1,2],
        "oa":[{"q":1},{"r":"z"}],"num":"12","eo":{},"a.b.c":1,"mix":[1,2.5],"nn":[null,null]}"#;
    let Flattened::NewFields(fields) = flatten(&empty, None, &Bytes::from(source)).unwrap() else { panic!() };
    let text = json!({"type": "text", "fields": {"keyword": {"type": "keyword", "ignore_above": 256}}});
    let wanted = json!({"properties": {
        "a": {"properties": {"b": {"properties": {"c": {"type": "long"}}}}}, "b": {"type": "boolean"}, "d": {"type": "date"},
        "eo": {"type": "object"}, "f": {"type": "float"}, "i": {"type": "long"}, "ia": {"type": "long"}, "mix": {"type": "long"},
        "num": text, "o": {"properties": {"x": text}}, "oa": {"properties": {"q": {"type": "long"}, "r": text}}, "s": text,
    }});
    assert_eq!(empty.with_new_fields(&fields).unwrap().to_value(), wanted);
    assert!(read(&empty, r#"{"m":[1,"x"]}"#).is_err(), "the first value decides the type");
}

#[test]
fn dynamic_false_ignores_and_ignore_malformed_skips() {
    let closed = mapping(
        json!({"dynamic": false, "properties": {"n": {"type": "long", "ignore_malformed": true}, "k": {"type": "keyword", "ignore_above": 3}}}),
    );
    let flat = read(&closed, r#"{"new":{"deep":1},"n":"x","k":["abc","abcd"]}"#).unwrap();
    assert_eq!(flat.numbers_of("n"), []);
    assert_eq!(flat.keywords_of("k"), ["abc"]);
}

#[test]
fn parameters_of_fields_are_honoured() {
    let with = mapping(json!({"properties": {
        "a": {"type": "keyword", "null_value": "none", "copy_to": "all"}, "all": {"type": "text"},
        "l": {"type": "keyword", "normalizer": "lowercase"}, "flat": {"type": "flattened"},
        "m": {"type": "text", "fields": {"raw": {"type": "keyword"}}},
    }}));
    let flat = read(&with, r#"{"a":[null,"x"],"l":"ABC","flat":{"p":"high","q":{"r":[1,2]}},"m":"One Two"}"#)
        .unwrap();
    assert_eq!(flat.keywords_of("a"), ["none", "x"]);
    assert_eq!(flat.texts_of("all"), ["x"]);
    assert_eq!(flat.keywords_of("l"), ["abc"]);
    assert_eq!(flat.keywords_of("flat"), ["high", "p\0high", "1", "q.r\x001", "2", "q.r\x002"]);
    assert_eq!(flat.keywords_of("m.raw"), ["One Two"]);
}

#[test]
fn a_keyword_longer_than_a_term_is_refused() {
    let with = mapping(json!({"properties": {"k": {"type": "keyword"}}}));
    let error = read(&with, &format!(r#"{{"k":"{}"}}"#, "a".repeat(33_000))).unwrap_err();
    assert!(
        error
            .caused_by()
            .unwrap()
            .reason
            .starts_with("Document contains at least one immense term in field=\"k\"")
    );
}

/// As a real Elasticsearch 9.4 has it.
#[test]
fn names_of_metadata_are_refused_at_the_top_only() {
    let metadata = |at: &str, field: &str, preview: &str, named_at: &str| {
        Some(format!(
            "document_parsing_exception: [1:{at}] failed to parse field [{field}] of type [{field}] in document with id '1'. \
             Preview of field's value: '{preview}' <- document_parsing_exception: [1:{named_at}] Field [{field}] is a metadata \
             field and cannot be added inside a document. Use the index API request parameters."
        ))
    };
    for (source, refused) in [
        (r#"{"_id":1}"#, metadata("8", "_id", "1", "8")),
        (r#"{"x":1,"_routing":"a b"}"#, metadata("19", "_routing", "a b", "19")),
        (r#"{"_id":null}"#, metadata("8", "_id", "null", "8")),
        (r#"{"_tier":{"a":1}}"#, metadata("16", "_tier", "{a=1}", "10")),
        (r#"{"_id":[1,2]}"#, metadata("9", "_id", "1", "9")),
        (r#"{"_id":[{"a":1}]}"#, metadata("15", "_id", "{a=1}", "9")),
        (r#"{"_id.x":1}"#, metadata("10", "_id", "{x=1}", "2")),
        (r#"{"_id.x.y":"z"}"#, metadata("12", "_id", "{x={y=z}}", "2")),
        (r#"{"_id.x":{"y":1}}"#, metadata("16", "_id", "{x={y=1}}", "2")),
        (r#"{"_id.x":[1]}"#, metadata("12", "_id", "{x=[1]}", "2")),
        (r#"{"_id":[[],[]]}"#, None),
        (r#"{"_identity":1,"_type":2}"#, None),
        (r#"{"a":{"_id":1}}"#, None),
        (r#"{"x":1,"a":{"_id":1}}"#, None),
        (r#"{"a":[{"_id":1}],"x":1}"#, None),
    ] {
        let told = read(&mapping(json!({})), source).err().map(|error| reason(&error));
        assert_eq!(told, refused, "{source}");
    }
}
