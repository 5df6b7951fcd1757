use serde_json::{Value, json};

use super::world::MysqlWorld;
use super::{all, only};

#[tokio::test(flavor = "multi_thread")]
async fn every_type_becomes_json_without_loss() {
    let mut world = MysqlWorld::new().await;
    world.sql("SET SESSION sql_mode = '';\nSET SESSION time_zone = '+02:00'").await;
    for (kind, sql, expected) in [
        ("tinyint(1)", "1", json!(1)),
        ("bigint unsigned", "18446744073709551615", json!(18_446_744_073_709_551_615_u64)),
        ("bigint", "-9223372036854775808", json!(i64::MIN)),
        ("decimal(10, 4)", "123.45", json!(123.45)),
        ("decimal(40, 9)", "12345678901234567890.123456789", json!("12345678901234567890.123456789")),
        ("float", "1.1", json!(1.1)),
        ("double", "1.5", json!(1.5)),
        ("bit(8)", "b'10101010'", json!(170)),
        ("bit(1)", "1", json!(1)),
        ("year", "2024", json!(2024)),
        ("date", "'2024-02-29'", json!("2024-02-29")),
        ("date", "'0000-00-00'", Value::Null),
        ("datetime", "'0000-00-00 00:00:00'", Value::Null),
        ("datetime(3)", "'2024-01-02 03:04:05.678'", json!("2024-01-02T03:04:05.678000")),
        ("timestamp", "'2024-01-02 03:04:05'", json!("2024-01-02T01:04:05+00:00")),
        ("time", "'-838:59:59'", json!("-838:59:59")),
        ("time(2)", "'100:00:01.5'", json!("100:00:01.500000")),
        ("char(4)", "'ab'", json!("ab")),
        ("text CHARACTER SET latin1", "'grün'", json!("grün")),
        ("enum('sad', 'happy')", "'happy'", json!("happy")),
        ("set('a', 'b', 'c')", "'a,c'", json!("a,c")),
        ("json", "'{\"a\": [1, null]}'", json!("{\"a\": [1, null]}")),
        ("varbinary(10)", "'hi'", json!("hi")),
        ("blob", "x'ff00'", json!("/wA=")),
        ("binary(2)", "x'ff00'", json!("/wA=")),
        ("point", "ST_GeomFromText('POINT(1.5 -2)')", json!("POINT(1.5 -2)")),
        ("geometry", "ST_GeomFromText('POLYGON((0 0,1 0,1 1,0 0))')", json!("POLYGON((0 0,1 0,1 1,0 0))")),
        ("geometry", "ST_GeomFromText('MULTIPOINT(1 2,3 4)')", json!("MULTIPOINT((1 2),(3 4))")),
        (
            "geometry",
            "ST_GeomFromText('GEOMETRYCOLLECTION(POINT(1 2),LINESTRING(0 0,1 1))')",
            json!("GEOMETRYCOLLECTION(POINT(1 2),LINESTRING(0 0,1 1))"),
        ),
        ("uuid", "'550e8400-e29b-41d4-a716-446655440000'", json!("550e8400-e29b-41d4-a716-446655440000")),
        ("inet6", "'::1'", json!("::1")),
        ("int", "NULL", Value::Null),
    ] {
        world
            .sql(&format!(
                "CREATE TABLE v (k int PRIMARY KEY, v {kind} NULL);\nINSERT INTO v VALUES (1, {sql})"
            ))
            .await;
        let listing = all(&world.with(json!({"tables": "v"}))).await;
        world.sql("DROP TABLE v").await;
        assert_eq!(only(&listing).fields["v"], expected, "{kind} {sql}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn reading_goes_on_behind_a_key_of_any_type() {
    let mut world = MysqlWorld::new().await;
    let members: Vec<String> = (1..=2_100).map(|n| format!("'{}'", n * 7 % 2_111)).collect();
    for (kind, values) in [
        ("bigint", "9223372036854773000 + seq"),
        ("bigint unsigned", "18446744073709549000 + seq"),
        ("decimal(30, 12)", "12345678901234 + seq / 7.0"),
        ("varchar(40)", "concat(char(40 + seq % 80), seq, '\\'\\\\')"),
        ("varchar(40) CHARACTER SET latin1", "concat('ü', seq)"),
        ("binary(16)", "unhex(md5(seq))"),
        ("datetime(3)", "'2000-01-01' + INTERVAL seq SECOND"),
        ("timestamp", "'2000-01-01' + INTERVAL seq DAY"),
        ("date", "'2000-01-01' + INTERVAL seq DAY"),
        ("time", "sec_to_time(seq * 600)"),
        ("double", "seq / 3.0"),
        ("float", "seq / 3.0"),
        ("bit(20)", "seq"),
        ("uuid", "concat('00000000-0000-0000-0000-', lpad(hex(seq), 12, '0'))"),
        (&format!("enum({})", members.join(",")), "seq"),
    ] {
        world
            .sql(&format!(
                "CREATE TABLE k (k {kind} PRIMARY KEY);\nINSERT INTO k SELECT {values} FROM seq_1_to_2100"
            ))
            .await;
        let kind = &kind[..kind.len().min(40)];
        let source =
            tributary_testkit::connect::<super::Mysql>(&world.with(json!({"fetch_size": 700}))).await;
        let whole = tributary_testkit::list(&source).await;
        assert!(whole.is_clean(), "{kind}: {:?}", whole.errors().collect::<Vec<_>>());
        assert_eq!((whole.items.len(), whole.ids.len()), (2_100, 2_100), "{kind}");
        let (before, cursor) = &whole.checkpoints[0];
        let rest = tributary_testkit::list_from(&source, Some(cursor.clone())).await;
        assert!(rest.is_clean(), "{kind}: {:?}", rest.errors().collect::<Vec<_>>());
        assert_eq!(rest.ids, whole.ids[*before..], "{kind}");
        world.sql("DROP TABLE k").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_join_tables_and_names_are_those_of_indices_that_are_there() {
    let mut world = MysqlWorld::new().await;
    world
        .sql(
            "CREATE TABLE c (id int PRIMARY KEY, name text);
             INSERT INTO c VALUES (1, 'Ada'), (2, 'Grace');
             CREATE TABLE o (number int PRIMARY KEY, customer int);
             INSERT INTO o VALUES (7, 1), (8, 2);
",
        )
        .await;
    let plain = all(&world.with(json!({"tables": "c"}))).await;
    assert_eq!(plain.ids, ["c_1", "c_2"]);
    assert_eq!(
        Value::Object(plain.items["c_1"].fields.clone()),
        json!({"Table": "c", "column_id": 1, "name": "Ada"})
    );
    let source = tributary_testkit::connect::<super::Mysql>(&world.with(json!({}))).await;
    let rules = json!([{"tables": ["o", "c"], "query": "SELECT o.number, c.name FROM o JOIN c ON c.id = o.customer;",
        "id_columns": ["number"]}]);
    let checks = source.advanced_rules().unwrap();
    assert_eq!(checks.check_rules(&rules).await.unwrap(), Vec::<String>::new());
    let missing = json!([{"tables": ["zzz", "c", "aaa"], "query": "SELECT 1"}]);
    assert_eq!(checks.check_rules(&missing).await.unwrap(), ["Tables not found or inaccessible: aaa, zzz."]);
}
