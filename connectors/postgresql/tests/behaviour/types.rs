use serde_json::{Value, json};

use super::world::PostgresWorld;
use super::{all, only};

/// The field that a literal of a type becomes.
async fn value(world: &PostgresWorld, sql: &str) -> Value {
    world
        .sql(&format!("CREATE TABLE v AS SELECT 1 AS k, {sql} AS v; ALTER TABLE v ADD PRIMARY KEY (k)"))
        .await;
    let listing = all(&world.with(json!({"tables": "v"}))).await;
    world.sql("DROP TABLE v").await;
    only(&listing).fields["public_v_v"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_type_becomes_json_without_loss() {
    let world = PostgresWorld::new().await;
    world
        .sql(
            "CREATE TYPE mood AS ENUM ('sad', 'happy'); CREATE TYPE pair AS (a int, b text);
             CREATE DOMAIN positive AS int CHECK (VALUE > 0); CREATE EXTENSION IF NOT EXISTS hstore",
        )
        .await;
    for (sql, expected) in [
        ("32767::int2", json!(32767)),
        ("9223372036854775807::int8", json!(9_223_372_036_854_775_807_i64)),
        ("4294967295::oid", json!(4_294_967_295_u32)),
        ("true", json!(true)),
        ("123.4500::numeric", json!(123.45)),
        ("12345678901234567890.123456789::numeric", json!("12345678901234567890.123456789")),
        ("'NaN'::numeric", Value::Null),
        ("1.1::real", json!(1.1)),
        ("1.5::float8", json!(1.5)),
        ("'NaN'::float8", Value::Null),
        ("'Infinity'::float8", Value::Null),
        ("3.5::numeric::money", json!("$3.50")),
        ("'ab'::char(4)", json!("ab  ")),
        ("'grün'::text", json!("grün")),
        ("'\\x6869'::bytea", json!("hi")),
        ("'\\xff00'::bytea", json!("/wA=")),
        ("'2024-02-29'::date", json!("2024-02-29")),
        ("'infinity'::date", json!("9999-12-31")),
        ("'12024-02-29'::date", json!("+12024-02-29")),
        ("'0044-03-15 BC'::date", json!("-0043-03-15")),
        ("'10:11:12.5'::time", json!("10:11:12.500000")),
        ("'10:11:12+02'::timetz", json!("10:11:12+02:00")),
        ("'2024-01-02 03:04:05'::timestamp", json!("2024-01-02T03:04:05")),
        ("'2024-01-02 03:04:05.678+02'::timestamptz", json!("2024-01-02T01:04:05.678000+00:00")),
        ("'-infinity'::timestamptz", json!("0001-01-01T00:00:00+00:00")),
        ("'1 year 2 days 3 hours'::interval", json!("P1Y2DT3H")),
        ("'550e8400-e29b-41d4-a716-446655440000'::uuid", json!("550e8400-e29b-41d4-a716-446655440000")),
        ("'{\"a\": [1, null]}'::json", json!({"a": [1, null]})),
        ("'[1, {\"b\": \"c\"}]'::jsonb", json!([1, {"b": "c"}])),
        ("'null'::jsonb", Value::Null),
        ("'<a/>'::xml", json!("<a/>")),
        ("'a=>1'::hstore", json!("\"a\"=>\"1\"")),
        ("'a cat'::tsvector", json!("'a' 'cat'")),
        ("'happy'::mood", json!("happy")),
        ("7::positive", json!(7)),
        ("ROW(1, 'x')::pair", json!({"a": 1, "b": "x"})),
        ("ARRAY[1, NULL, 3]", json!([1, null, 3])),
        ("ARRAY[[1, 2], [3, 4]]", json!([[1, 2], [3, 4]])),
        ("'{}'::text[]", json!([])),
        ("ARRAY['happy', 'sad']::mood[]", json!(["happy", "sad"])),
        ("ARRAY[ROW(1, 'x')::pair]", json!([{"a": 1, "b": "x"}])),
        ("int4range(1, 5)", json!("[1,5)")),
        ("ARRAY[int4range(1, 5)]", json!(["[1,5)"])),
        ("'{[1,3),[5,7)}'::int4multirange", json!("{[1,3),[5,7)}")),
        ("'10.30.0.9/24'::inet", json!("10.30.0.9/24")),
        ("'10.30.0.9'::inet", json!("10.30.0.9")),
        ("'10.30.0.0/32'::cidr", json!("10.30.0.0/32")),
        ("'::1'::inet", json!("::1")),
        ("'08:00:2b:01:02:03'::macaddr", json!("08:00:2b:01:02:03")),
        ("'08:00:2b:01:02:03:04:05'::macaddr8", json!("08:00:2b:01:02:03:04:05")),
        ("B'10101010'", json!("1010 1010")),
        ("B'101'::varbit", json!("101")),
        ("'(1.5,2.5)'::point", json!("(1.5, 2.5)")),
        ("'[(0,0),(1,1)]'::lseg", json!("[(0.0, 0.0), (1.0, 1.0)]")),
        ("'((0,0),(1,1))'::box", json!("[(1.0, 1.0), (0.0, 0.0)]")),
        ("'[(0,0),(1,1)]'::path", json!("open [(0.0, 0.0), (1.0, 1.0)]")),
        ("'((0,0),(1,1))'::polygon", json!("[(0.0, 0.0), (1.0, 1.0)]")),
        ("'{1,-1,0}'::line", json!("(1.0, -1.0, 0.0)")),
        ("'<(0,0),5>'::circle", json!("((0.0, 0.0), 5.0)")),
        ("'(0,1)'::tid", json!("(0,1)")),
        ("NULL::int", Value::Null),
    ] {
        assert_eq!(value(&world, sql).await, expected, "{sql}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_has_the_names_that_indices_have_already() {
    let world = PostgresWorld::new().await;
    world
        .sql(
            "CREATE TABLE \"T\" (\"Odd \"\"Name\" int, a numeric(10, 2), b text, at timestamptz, PRIMARY KEY (b, a, at));
             INSERT INTO \"T\" VALUES (7, 1.50, 'x', '2024-01-02 03:04:05.5+00')",
        )
        .await;
    let listing = all(&world.config_with_all()).await;
    let item = only(&listing);
    let database = &world.database;
    assert_eq!(listing.ids, [format!("{database}_public_T_x_1.50_2024-01-02 03:04:05.500000+00:00")]);
    let mut expected = json!({
        "database": database, "schema": "public", "table": "T",
        "public_t_odd \"name": 7, "public_t_a": 1.5, "public_t_b": "x", "public_t_at": "2024-01-02T03:04:05.500000+00:00",
    });
    assert_eq!(Value::Object(item.fields.clone()), expected.take());
    assert!(item.timestamp.is_some(), "the server knows when the row was committed");
}

#[tokio::test(flavor = "multi_thread")]
async fn reading_goes_on_behind_a_key_of_any_type() {
    let world = PostgresWorld::new().await;
    world.sql("CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy')").await;
    for (kind, values) in [
        ("int8", "SELECT 9223372036854773000 + n"),
        ("numeric", "SELECT n / 7.0"),
        ("text", "SELECT chr(40 + n % 900) || n || E'\\'\\\\'"),
        ("bytea", "SELECT decode(md5(n::text), 'hex')"),
        ("timestamptz", "SELECT '0050-01-01 BC'::timestamptz + n * interval '1 month'"),
        ("date", "SELECT '9998-01-01'::date + n"),
        ("float8", "SELECT n / 3.0"),
        ("uuid", "SELECT md5(n::text)::uuid"),
        ("inet", "SELECT '10.0.0.0'::inet + n"),
        ("char(8)", "SELECT lpad(n::text, 5, 'x')"),
        ("varbit", "SELECT n::bit(20)"),
    ] {
        world
            .sql(&format!(
                "CREATE TABLE k (k {kind} PRIMARY KEY); INSERT INTO k SELECT v FROM generate_series(1, 2100) n,
                 LATERAL ({values} AS v) x"
            ))
            .await;
        let config = world.config_with_all();
        let source = tributary_testkit::connect::<super::Postgresql>(&config).await;
        let whole = tributary_testkit::list(&source).await;
        assert_eq!(whole.items.len(), 2_100, "{kind}");
        let (before, cursor) = &whole.checkpoints[1];
        let rest = tributary_testkit::list_from(&source, Some(cursor.clone())).await;
        assert!(rest.is_clean(), "{kind}: {:?}", rest.errors().collect::<Vec<_>>());
        assert_eq!(rest.ids, whole.ids[*before..], "{kind}");
        world.sql("DROP TABLE k").await;
    }
}
