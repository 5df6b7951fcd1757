//! A real PostgreSQL, one for the whole test program, with a database for each world.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::new_without_default,
    reason = "each test file uses its part"
)]

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};
use tokio::task::JoinSet;
use tokio_postgres::{Client, NoTls};
use tributary_testkit::{DatabaseServer, Proxy, World};

pub const USER: &str = DatabaseServer::USER;
pub const PASSWORD: &str = DatabaseServer::PASSWORD;

/// A database of its own, behind a proxy.
pub struct PostgresWorld {
    pub server: &'static DatabaseServer,
    pub database: String,
    /// What tests reach the database through; gone when the server is away.
    pub proxy: Option<Proxy>,
    port: u16,
    pub client: Client,
    _driver: JoinSet<()>,
    ids: BTreeSet<String>,
    made: usize,
}

impl PostgresWorld {
    /// An empty database.
    pub async fn new() -> Self {
        let server = DatabaseServer::postgresql();
        let database = server.next_database();
        let (admin, mut driver) = connect(server, "postgres").await;
        admin.batch_execute(&format!("CREATE DATABASE \"{database}\"")).await.unwrap();
        drop(admin);
        driver.abort_all();
        let (client, driver) = connect(server, &database).await;
        let proxy = Proxy::to(server.address).await;
        let port = proxy.address().port();
        let ids = BTreeSet::new();
        Self { server, database, proxy: Some(proxy), port, client, _driver: driver, ids, made: 0 }
    }

    /// Runs statements.
    pub async fn sql(&self, sql: &str) {
        self.client.batch_execute(sql).await.unwrap();
    }

    /// The configuration with other values.
    pub fn with(&self, values: Value) -> Map<String, Value> {
        let mut config = self.config();
        let Value::Object(values) = values else { unreachable!() };
        config.extend(values);
        config
    }

    /// The configuration for a world of its own tables.
    pub fn config_with_all(&self) -> Map<String, Value> {
        self.with(json!({"key_columns": ""}))
    }

    fn id(&self, rest: &str) -> String {
        format!("{}_public_{rest}", self.database)
    }
}

async fn connect(server: &DatabaseServer, database: &str) -> (Client, JoinSet<()>) {
    let mut config = tokio_postgres::Config::new();
    config.host("127.0.0.1").port(server.address.port()).user(USER).password(PASSWORD).dbname(database);
    let (client, connection) = config.connect(NoTls).await.unwrap();
    let mut driver = JoinSet::new();
    driver.spawn(async move { drop(connection.await) });
    (client, driver)
}

impl World for PostgresWorld {
    async fn start() -> Self {
        let mut world = Self::new().await;
        world
            .sql(
                "CREATE TABLE customers (id bigserial PRIMARY KEY, name text, age int, \"Odd Name\" text);
                 INSERT INTO customers (name, age) VALUES ('Ada', 36), ('Grace', 85);
                 CREATE TABLE orders (customer bigint, number text, total numeric(12, 2), PRIMARY KEY (number, customer));
                 INSERT INTO orders VALUES (1, 'a_b', 12.50), (2, 'c', 7);
                 CREATE TABLE unique_only (code uuid NOT NULL UNIQUE, note text);
                 INSERT INTO unique_only VALUES ('00000000-0000-0000-0000-00000000002a', 'by a unique key');
                 CREATE TABLE keyless (note text); INSERT INTO keyless VALUES ('not listed');
                 CREATE TABLE empty (id int PRIMARY KEY);
                 CREATE VIEW summary AS SELECT age, count(*) AS people FROM customers WHERE id < 3 GROUP BY age",
            )
            .await;
        let ids = [
            "customers_1",
            "customers_2",
            "orders_a_b_1",
            "orders_c_2",
            "unique_only_00000000-0000-0000-0000-00000000002a",
            "summary_36",
            "summary_85",
        ];
        world.ids = ids.map(|id| world.id(id)).into();
        world
    }

    fn config(&self) -> Map<String, Value> {
        let Value::Object(values) = json!({
            "host": "127.0.0.1",
            "port": self.port,
            "username": USER,
            "password": PASSWORD,
            "database": self.database,
            "schema": "public",
            "tables": "*",
            "retry_count": 2,
            "ssl_enabled": false,
            "ssl_mode": "default",
            "ssl_ca": "",
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
        let sql = "INSERT INTO customers (name, age) VALUES ($1, 20) RETURNING id";
        let row = self.client.query_one(sql, &[&format!("made {}", self.made)]).await.unwrap();
        let id = self.id(&format!("customers_{}", row.get::<_, i64>(0)));
        self.ids.insert(id.clone());
        id
    }

    async fn change(&mut self, id: &str) {
        let number: i64 = id.rsplit('_').next().unwrap().parse().unwrap();
        self.client
            .execute("UPDATE customers SET name = name || '!' WHERE id = $1", &[&number])
            .await
            .unwrap();
    }

    async fn remove(&mut self, id: &str) {
        let number: i64 = id.rsplit('_').next().unwrap().parse().unwrap();
        self.client.execute("DELETE FROM customers WHERE id = $1", &[&number]).await.unwrap();
        self.ids.remove(id);
    }

    async fn go_away(&mut self) {
        self.proxy = None;
        tokio::task::yield_now().await;
    }

    async fn break_part(&mut self) -> bool {
        self.sql("CREATE VIEW broken AS SELECT 1 / (random() * 0)::int AS id").await;
        true
    }

    async fn fill(&mut self, count: usize) {
        let sql = "INSERT INTO customers (name, age) SELECT 'filled ' || n, n % 90 FROM generate_series(1, $1::int8) n
                   RETURNING id";
        for row in self.client.query(sql, &[&i64::try_from(count).unwrap()]).await.unwrap() {
            self.ids.insert(self.id(&format!("customers_{}", row.get::<_, i64>(0))));
        }
    }
}
