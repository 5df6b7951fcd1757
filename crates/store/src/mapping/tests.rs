use super::*;

#[allow(clippy::needless_pass_by_value)]
fn mapping(value: Value) -> Result<Mapping> {
    Mapping::new(&value, BTreeMap::new(), Arc::default(), Limits::default())
}

#[test]
fn mappings_are_shown_as_elasticsearch_shows_them() {
    let given = json!({"dynamic": "strict", "_meta": {"a": 1}, "properties": {
        "n": {"type": "long", "index": true}, "t": {"type": "text", "fields": {"keyword": {"ignore_above": 256, "type": "keyword"}}},
        "e": {"type": "object", "enabled": false}, "eo": {"type": "object"}, "ne": {"type": "nested"},
        "k": {"type": "keyword", "doc_values": false}, "a.b": {"type": "long"}, "o": {"properties": {"k": {"type": "keyword"}}},
    }});
    let wanted = json!({"dynamic": "strict", "_meta": {"a": 1}, "properties": {
        "a": {"properties": {"b": {"type": "long"}}}, "e": {"type": "object", "enabled": false}, "eo": {"type": "object"},
        "k": {"type": "keyword", "doc_values": false}, "n": {"type": "long"}, "ne": {"type": "nested"},
        "o": {"properties": {"k": {"type": "keyword"}}},
        "t": {"type": "text", "fields": {"keyword": {"type": "keyword", "ignore_above": 256}}},
    }});
    assert_eq!(mapping(given).unwrap().to_value().to_string(), wanted.to_string());
    assert_eq!(mapping(json!({})).unwrap().to_value(), json!({}));
    assert_eq!(mapping(Value::Null).unwrap().to_value(), json!({}));
}

#[test]
fn malformed_mappings_are_refused_in_elasticsearchs_words() {
    let table = [
        (
            json!({"properties": {"x": {"type": "foo"}}}),
            "Failed to parse mapping: The mapper type [foo] declared on field [x] does not exist.",
        ),
        (
            json!({"properties": {"x": {"type": "text", "foo": 1}}}),
            "Failed to parse mapping: unknown parameter [foo] on mapper [x] of type [text]",
        ),
        (
            json!({"properties": {"x": {"type": "text", "analyzer": "nope"}}}),
            "Failed to parse mapping: analyzer [nope] has not been configured in mappings",
        ),
        (
            json!({"properties": {"x": {"foo": 1}}}),
            "Failed to parse mapping: No type specified for field [x]",
        ),
        (
            json!({"foo": 1}),
            "Failed to parse mapping: Root mapping definition has unsupported parameters:  [foo : 1]",
        ),
        (
            json!({"dynamic": "maybe"}),
            "Failed to parse mapping: Could not convert [dynamic.dynamic] to boolean",
        ),
        (json!({"properties": 5}), "Failed to parse mapping: properties must be a map type"),
        (
            json!({"properties": {"x": {"type": "keyword", "ignore_above": "a"}}}),
            "Failed to parse mapping: For input string: \"a\"",
        ),
        (
            json!({"properties": {"x": {"type": "geo_point"}}}),
            "Failed to parse mapping: The mapper type [geo_point] declared on field [x] is not supported",
        ),
    ];
    for (value, wanted) in table {
        let error = mapping(value).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::MapperParsing);
        assert!(error.reason().starts_with(wanted), "{}", error.reason());
    }
}

#[test]
fn merging_refuses_changes_and_takes_additions() {
    let old = mapping(json!({"properties": {
        "n": {"type": "long"}, "o": {"properties": {"k": {"type": "keyword"}}}, "t": {"type": "text"}, "d": {"type": "date"},
    }}))
    .unwrap();
    let refused = [
        (json!({"n": {"type": "text"}}), "mapper [n] cannot be changed from type [long] to [text]"),
        (json!({"o": {"type": "keyword"}}), "can't merge a non object mapping [o] with an object mapping"),
        (json!({"o": {"type": "nested"}}), "can't merge a non-nested mapping [o] with a nested mapping"),
        (
            json!({"t": {"type": "text", "analyzer": "simple"}}),
            "Mapper for [t] conflicts with existing mapper:\n\tCannot update parameter [analyzer] from [default] to [simple]",
        ),
        (
            json!({"d": {"type": "date", "format": "yyyy"}}),
            "Mapper for [d] conflicts with existing mapper:\n\tCannot update parameter [format] from [strict_date_optional_time||epoch_millis] to [yyyy]",
        ),
    ];
    for (properties, wanted) in refused {
        assert_eq!(old.merged(&json!({"properties": properties})).unwrap_err().reason(), wanted);
    }
    let new = old.merged(&json!({"dynamic": false, "properties": {"o": {"properties": {"z": {"type": "long"}}}, "t": {"type": "text", "fields": {"raw": {"type": "keyword"}}}}})).unwrap();
    assert_eq!(new.to_value()["dynamic"], "false");
    assert!(new.find("o.z").is_some() && new.find("t.raw").is_some());
    for leaf in old.leaves() {
        assert_eq!(new.find(&leaf.path).unwrap().id, leaf.id, "numbers stay");
    }
}

#[test]
fn new_fields_get_elasticsearchs_types() {
    let empty = mapping(json!({})).unwrap();
    let table = [
        (
            Token::Str("hello".into()),
            json!({"type": "text", "fields": {"keyword": {"type": "keyword", "ignore_above": 256}}}),
        ),
        (
            Token::Str("12".into()),
            json!({"type": "text", "fields": {"keyword": {"type": "keyword", "ignore_above": 256}}}),
        ),
        (Token::Str("2024-01-01".into()), json!({"type": "date"})),
        (
            Token::Str("2024/01/02".into()),
            json!({"type": "date", "format": "yyyy/MM/dd HH:mm:ss||yyyy/MM/dd||epoch_millis"}),
        ),
        (Token::Number("1"), json!({"type": "long"})),
        (Token::Number("1.5"), json!({"type": "float"})),
        (Token::Bool(true), json!({"type": "boolean"})),
    ];
    for (token, wanted) in table {
        let Node::Field(field) = empty.infer("x", &token).unwrap() else { panic!("{token:?}") };
        assert_eq!(field.to_value(), wanted, "{token:?}");
    }
    assert!(matches!(empty.infer("x", &Token::ObjectStart).unwrap(), Node::Object(_)));
}

#[test]
fn dynamic_templates_choose_the_mapping() {
    let with = mapping(json!({"dynamic_templates": [
        {"strings": {"match_mapping_type": "string", "match": "k_*", "mapping": {"type": "keyword"}}},
        {"in_o": {"path_match": "o.*", "mapping": {"type": "text", "fields": {"{name}": {"type": "keyword"}}}}},
    ]}))
    .unwrap();
    let show = |path: &str, token: Token<'_>| match with.infer(path, &token).unwrap() {
        Node::Field(field) => field.to_value(),
        Node::Object(_) => json!("object"),
    };
    assert_eq!(show("k_a", Token::Str("x".into())), json!({"type": "keyword"}));
    assert_eq!(show("k_a", Token::Number("1")), json!({"type": "long"}));
    assert_eq!(
        show("o.w", Token::Number("1")),
        json!({"type": "text", "fields": {"w": {"type": "keyword"}}})
    );
    assert_eq!(show("o.w", Token::ObjectStart), json!("object"));
}

#[test]
fn the_field_limit_counts_objects_and_multi_fields() {
    let limits = Limits { total_fields: 3, ..Limits::default() };
    let make = |value: Value| Mapping::new(&value, BTreeMap::new(), Arc::default(), limits);
    let three = json!({"properties": {"a": {"properties": {"b": {"type": "text", "fields": {"c": {"type": "keyword"}}}}}}});
    assert!(make(three.clone()).is_ok());
    let error = make(three).unwrap().merged(&json!({"properties": {"d": {"type": "long"}}})).unwrap_err();
    assert_eq!(error.reason(), "Limit of total fields [3] has been exceeded");
}
