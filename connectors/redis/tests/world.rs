//! A real server, started for one test.

#![allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests; each test file uses its part"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use md5::{Digest as _, Md5};
use redis::{Connection, Pipeline};
use serde_json::{Map, Value, json};
use tempfile::TempDir;
use tributary_testkit::World;

/// The user of the source, and its password, which would break an address that it is put into.
pub const USER: &str = "reader";
pub const PASSWORD: &str = "p@ss/w:rd?#%";

/// A server process on a free port, stopped when it is dropped.
pub struct Server {
    process: Child,
    pub home: TempDir,
    pub port: u16,
    /// Where the superuser gets in.
    pub plain: u16,
}

impl Server {
    /// Starts `redis-server` with further arguments. `{home}` in them is its folder.
    pub fn start(arguments: &[&str]) -> Self {
        let home = tempfile::tempdir().unwrap();
        let port = free_port();
        let mut server = Self { process: launch(&home, port, arguments), home, port, plain: port };
        server.wait();
        server
    }

    /// A server that is encrypted on [`Server::port`].
    pub fn encrypted(home: TempDir, arguments: &[&str]) -> Self {
        let (port, plain) = (free_port(), free_port());
        let tls = port.to_string();
        let mut all = vec!["--tls-port", tls.as_str()];
        all.extend(arguments);
        let mut server = Self { process: launch(&home, plain, &all), home, port, plain };
        server.wait();
        server
    }

    fn wait(&mut self) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while self.try_admin().is_err_and(|error| error.code() != Some("NOAUTH")) {
            if let Some(status) = self.process.try_wait().unwrap() {
                let mut said = String::new();
                self.process.stdout.take().unwrap().read_to_string(&mut said).unwrap();
                panic!("redis-server ended with {status}: {said}");
            }
            assert!(Instant::now() < deadline, "redis-server does not answer");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn try_admin(&self) -> redis::RedisResult<Connection> {
        let mut connection =
            redis::Client::open(format!("redis://127.0.0.1:{}/", self.plain))?.get_connection()?;
        redis::cmd("PING").exec(&mut connection)?;
        Ok(connection)
    }

    /// A connection of the superuser.
    pub fn admin(&self) -> Connection {
        self.try_admin().unwrap()
    }

    /// Runs a command, words separated by blanks.
    pub fn run(&self, database: u32, command: &str) {
        let mut connection = self.admin();
        redis::cmd("SELECT").arg(database).exec(&mut connection).unwrap();
        let mut words = command.split(' ');
        let mut command = redis::cmd(words.next().unwrap());
        words.for_each(|word| {
            command.arg(word);
        });
        command.exec(&mut connection).unwrap();
    }

    pub fn stop(&mut self) {
        let _stopped_already = self.process.kill();
        self.process.wait().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

fn launch(home: &TempDir, port: u16, arguments: &[&str]) -> Child {
    let folder = home.path().to_str().unwrap();
    Command::new("redis-server")
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
        .args(["--dir", folder, "--daemonize", "no"])
        .args(arguments.iter().map(|argument| argument.replace("{home}", folder)))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| {
            panic!("redis-server cannot be started (Debian package redis-server): {error}")
        })
}

pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// MD5 of the database's number, a slash, and the key.
pub fn id(database: u32, key: impl AsRef<[u8]>) -> String {
    let mut digest = Md5::new();
    digest.update(format!("{database}/"));
    digest.update(key);
    digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A server with a user that may read some of its keys.
pub struct RedisWorld {
    pub server: Server,
    /// Keys that are listed, by id.
    keys: BTreeMap<String, (u32, Vec<u8>)>,
    made: usize,
}

impl RedisWorld {
    fn note(&mut self, database: u32, key: impl AsRef<[u8]>) -> String {
        let id = id(database, key.as_ref());
        self.keys.insert(id.clone(), (database, key.as_ref().to_vec()));
        id
    }
}

/// Makes the user that the source uses.
pub fn allow(server: &Server) {
    server.run(0, &format!("ACL SETUSER {USER} reset on >{PASSWORD} %R~app:* +@connection +@read +info"));
}

/// One key of every type.
pub const KINDS: [(u32, &str, &str); 8] = [
    (0, "app:string", "SET app:string hello"),
    (0, "app:json", "SET app:json {\"a\":1,\"b\":[true,null]}"),
    (0, "app:hash", "HSET app:hash f1 v1"),
    (0, "app:list", "RPUSH app:list a b"),
    (3, "app:set", "SADD app:set x y"),
    (3, "app:zset", "ZADD app:zset 2.5 b 1 a"),
    (3, "app:stream", "XADD app:stream 1-1 f v"),
    (3, "app:hll", "PFADD app:hll a b c"),
];

impl World for RedisWorld {
    async fn start() -> Self {
        let server = Server::start(&[]);
        allow(&server);
        let mut world = Self { server, keys: BTreeMap::new(), made: 0 };
        for (database, key, command) in KINDS {
            world.server.run(database, command);
            world.note(database, key);
        }
        let mut admin = world.server.admin();
        redis::cmd("SET").arg(b"app:\xff\x00").arg(b"\x00\xff").exec(&mut admin).unwrap();
        world.note(0, b"app:\xff\x00");
        world.server.run(0, "XADD app:trimmed 1-1 f v");
        world.server.run(0, "XTRIM app:trimmed MAXLEN 0");
        world.note(0, "app:trimmed");
        world
    }

    fn config(&self) -> Map<String, Value> {
        let values = json!({
            "host": "127.0.0.1", "port": self.server.port, "username": USER, "password": PASSWORD,
            "database": "*", "ssl_enabled": false,
        });
        let Value::Object(values) = values else { unreachable!() };
        values
    }

    async fn ids(&self) -> BTreeSet<String> {
        self.keys.keys().cloned().collect()
    }

    async fn add(&mut self) -> String {
        self.made += 1;
        let key = format!("app:made:{}", self.made);
        self.server.run(0, &format!("SET {key} value-{}", self.made));
        self.note(0, key)
    }

    async fn change(&mut self, id: &str) {
        let (database, key) = &self.keys[id];
        self.server.run(*database, &format!("SET {} other", String::from_utf8_lossy(key)));
    }

    async fn remove(&mut self, id: &str) {
        let (database, key) = self.keys.remove(id).unwrap();
        self.server.run(database, &format!("DEL {}", String::from_utf8_lossy(&key)));
    }

    async fn go_away(&mut self) {
        self.server.stop();
    }

    /// The second database cannot be chosen any more.
    async fn break_part(&mut self) -> bool {
        self.server.run(0, &format!("ACL SETUSER {USER} -select"));
        true
    }

    /// A key that the user may not read; its name is told all the same.
    async fn add_unreadable(&mut self) -> Option<String> {
        self.server.run(0, "SET private:1 x");
        Some(self.note(0, "private:1"))
    }

    async fn fill(&mut self, count: usize) {
        let mut commands = Pipeline::with_capacity(count);
        for _ in 0..count {
            self.made += 1;
            let key = format!("app:made:{}", self.made);
            commands.cmd("SET").arg(&key).arg(format!("value-{}", self.made)).ignore();
            self.note(0, key);
        }
        commands.exec(&mut self.server.admin()).unwrap();
    }
}
