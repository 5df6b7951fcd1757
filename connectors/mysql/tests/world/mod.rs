//! A real MariaDB, one for the whole test program, with a database for each world.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::new_without_default,
    reason = "each test file uses its part"
)]

use std::collections::BTreeSet;

use mysql_async::prelude::Queryable as _;
use mysql_async::{Conn, OptsBuilder};
use serde_json::{Map, Value, json};
use tributary_testkit::{DatabaseServer, Proxy, World};

pub const USER: &str = DatabaseServer::USER;
pub const PASSWORD: &str = DatabaseServer::PASSWORD;

/// A database of its own, behind a proxy.
pub struct MysqlWorld {
    pub server: &'static DatabaseServer,
    pub database: String,
    /// What tests reach the database through; gone when the server is away.
    pub proxy: Option<Proxy>,
    port: u16,
    pub conn: Conn,
    ids: BTreeSet<String>,
    made: usize,
}

impl MysqlWorld {
    /// An empty database.
    pub async fn new() -> Self {
        let server = DatabaseServer::mariadb();
        let database = server.next_database();
        let options = OptsBuilder::default()
            .ip_or_hostname("127.0.0.1")
            .tcp_port(server.address.port())
            .user(Some(USER))
            .pass(Some(PASSWORD))
            .prefer_socket(false);
        let mut conn = Conn::new(options).await.unwrap();
        conn.query_drop(format!("CREATE DATABASE {database}")).await.unwrap();
        conn.query_drop(format!("USE {database}")).await.unwrap();
        let proxy = Proxy::to(server.address).await;
        let port = proxy.address().port();
        Self { server, database, proxy: Some(proxy), port, conn, ids: BTreeSet::new(), made: 0 }
    }

    /// Runs statements, each ended by a semicolon at the end of a line.
    pub async fn sql(&mut self, sql: &str) {
        for statement in sql.split(";\n").filter(|statement| !statement.trim().is_empty()) {
            self.conn.query_drop(statement).await.unwrap();
        }
    }

    /// The configuration with other values.
    pub fn with(&self, values: Value) -> Map<String, Value> {
        let mut config = self.config();
        let Value::Object(values) = values else { unreachable!() };
        config.extend(values);
        config
    }
}

impl World for MysqlWorld {
    async fn start() -> Self {
        let mut world = Self::new().await;
        world
            .sql(
                "CREATE TABLE customers (id bigint AUTO_INCREMENT PRIMARY KEY, name text, age int, `Odd ``Name` text);
                 INSERT INTO customers (name, age) VALUES ('Ada', 36), ('Grace', 85);
                 CREATE TABLE orders (customer bigint, number varchar(20), total decimal(12, 2), PRIMARY KEY (number, customer));
                 INSERT INTO orders VALUES (1, 'a_b', 12.50), (2, 'c', 7);
                 CREATE TABLE unique_only (code char(4) NOT NULL UNIQUE, note text);
                 INSERT INTO unique_only VALUES ('x2a', 'by a unique key');
                 CREATE TABLE keyless (note text);
                 INSERT INTO keyless VALUES ('not listed');
                 CREATE TABLE empty (id int PRIMARY KEY);
                 CREATE VIEW summary AS SELECT age, count(*) AS people FROM customers WHERE id < 3 GROUP BY age;
",
            )
            .await;
        // In the order of the table's columns, whatever that of the key.
        let ids = [
            "customers_1",
            "customers_2",
            "orders_1_a_b",
            "orders_2_c",
            "unique_only_x2a",
            "summary_36",
            "summary_85",
        ];
        world.ids = ids.map(str::to_owned).into();
        world
    }

    fn config(&self) -> Map<String, Value> {
        let Value::Object(values) = json!({
            "host": "127.0.0.1",
            "port": self.port,
            "user": USER,
            "password": PASSWORD,
            "database": self.database,
            "tables": "*",
            "ssl_enabled": false,
            "ssl_ca": "",
            "fetch_size": 5000,
            "retry_count": 2,
            "ssl_mode": "default",
            "incremental_by": "full_read",
            "key_columns": "summary=age, broken=id",
        }) else {
            unreachable!()
        };
        values
    }

    async fn ids(&self) -> BTreeSet<String> {
        self.ids.clone()
    }

    async fn add(&mut self) -> String {
        self.made += 1;
        let sql = format!("INSERT INTO customers (name, age) VALUES ('made {}', 20)", self.made);
        self.conn.query_drop(sql).await.unwrap();
        let id = format!("customers_{}", self.conn.last_insert_id().unwrap());
        self.ids.insert(id.clone());
        id
    }

    async fn change(&mut self, id: &str) {
        let number: i64 = id.rsplit('_').next().unwrap().parse().unwrap();
        self.sql(&format!("UPDATE customers SET name = concat(name, '!') WHERE id = {number}")).await;
    }

    async fn remove(&mut self, id: &str) {
        let number: i64 = id.rsplit('_').next().unwrap().parse().unwrap();
        self.sql(&format!("DELETE FROM customers WHERE id = {number}")).await;
        self.ids.remove(id);
    }

    async fn go_away(&mut self) {
        self.proxy = None;
        tokio::task::yield_now().await;
    }

    async fn break_part(&mut self) -> bool {
        self.sql("CREATE TABLE under_view (id int)").await;
        self.sql("CREATE VIEW broken AS SELECT id FROM under_view").await;
        self.sql("DROP TABLE under_view").await;
        true
    }

    async fn fill(&mut self, count: usize) {
        let first: Option<u64> = self.conn.query_first("SELECT max(id) FROM customers").await.unwrap();
        let first = first.unwrap() + 1;
        let sql = format!(
            "INSERT INTO customers (id, name, age) SELECT {first} - 1 + seq, concat('filled ', seq), seq % 90
             FROM seq_1_to_{count}"
        );
        self.conn.query_drop(sql).await.unwrap();
        for n in 0..count as u64 {
            self.ids.insert(format!("customers_{}", first + n));
        }
    }
}
