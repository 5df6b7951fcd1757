use async_trait::async_trait;
use futures::stream::BoxStream;
use md5::{Digest as _, Md5};
use serde_json::Value;
use tributary_sdk::emit::{self, Emitter, Gone, Stop};
use tributary_sdk::{AdvancedRules, Context, DataSource, Error, ErrorKind, Event, Result, Resumable, hex};

use crate::client::{Link, Server};
use crate::config::{Format, RedisConfig};
use crate::document::{Content, Found, digest, document, id};
use crate::keys::{self, Recent, Target};
use crate::position::{Position, start};
use crate::read::{self, Outcome};
use crate::rules;
use crate::value::Bytes;

/// Keys that are looked at together.
const GROUP: usize = 250;
/// How often a key is looked at whose type changes meanwhile.
const LOOKS: usize = 4;

/// The keys of a server, ready to be listed.
#[derive(Debug)]
pub struct RedisSource {
    server: Server,
    databases: Vec<String>,
    format: Format,
    /// Stands for everything in the configuration that decides which keys are listed in which order.
    identity: String,
}

impl RedisSource {
    pub(crate) fn new(config: RedisConfig) -> Result<Self> {
        let server = Server::new(&config)?;
        let identity = identity(&config, &server.name);
        let mut databases: Vec<String> = Vec::new();
        for name in config.database {
            if !databases.contains(&name) {
                databases.push(name);
            }
        }
        if databases.is_empty() {
            return Err(
                Error::new(ErrorKind::Config, "no database is chosen").hint("set numbers such as 0,1, or *")
            );
        }
        Ok(Self { server, databases, format: config.value_format, identity })
    }

    fn wants_all(&self) -> bool {
        self.databases.iter().any(|name| name == "*")
    }

    /// The configured databases; what is no number is told with them that are not there.
    fn numbers(&self) -> (Vec<Target>, Vec<&str>) {
        let (mut targets, mut odd) = (Vec::new(), Vec::new());
        for name in &self.databases {
            match name.parse::<u32>().ok().filter(|_| name.bytes().all(|byte| byte.is_ascii_digit())) {
                Some(number) => targets.push(Target::all(number, Value::from(name.as_str()))),
                None => odd.push(name.as_str()),
            }
        }
        (targets, odd)
    }

    async fn targets(&self, link: &mut Link, rules: Option<Vec<Target>>) -> Result<Vec<Target>> {
        if let Some(targets) = rules {
            return Ok(targets);
        }
        if self.wants_all() {
            let all = link.databases().await?;
            return Ok(all.into_iter().map(|number| Target::all(number, number.into())).collect());
        }
        let (targets, odd) = self.numbers();
        if odd.is_empty() { Ok(targets) } else { Err(unavailable(&[], &odd)) }
    }

    async fn check_databases(&self, link: &mut Link) -> Result<()> {
        if self.wants_all() {
            return Ok(());
        }
        let (targets, odd) = self.numbers();
        let missing = missing(link, &targets).await?;
        if missing.is_empty() && odd.is_empty() { Ok(()) } else { Err(unavailable(&missing, &odd)) }
    }

    async fn list(&self, cx: &Context, emit: &Emitter) -> Result<(), Stop> {
        let rules = cx.advanced_rules.as_ref().map(rules::targets).transpose();
        let rules = rules.map_err(|faults| {
            Error::new(
                ErrorKind::Config,
                format!("the advanced sync rules cannot be used: {}", faults.join("; ")),
            )
        })?;
        let rules = rules.flatten();
        let by_database = rules.is_none() && self.wants_all();
        let of = format!("{}-{}", self.identity, fingerprint(rules.as_deref()));
        let mut link = self.server.connect().await?;
        let targets = self.targets(&mut link, rules).await?;
        let position = Position::read(cx.cursor.as_ref(), &of, link.run.as_deref());
        let (first, mut scan) = position.map_or_else(|| (0, start()), |p| p.place(&targets, by_database));
        let mut listing = Listing {
            link,
            emit,
            of,
            format: self.format,
            limit: cx.max_body_bytes,
            recent: Recent::default(),
        };
        for (place, target) in targets.iter().enumerate().skip(first) {
            listing.target(place, target, std::mem::replace(&mut scan, start())).await?;
        }
        Ok(())
    }
}

#[async_trait]
impl DataSource for RedisSource {
    async fn ping(&self, _cx: &Context) -> Result<()> {
        let mut link = self.server.connect().await?;
        link.ask("asking whether the server is there", redis::cmd("PING")).await?;
        self.check_databases(&mut link).await?;
        // Who may not list keys should know before the first sync.
        link.select(0).await?;
        let mut command = redis::cmd("SCAN");
        command.arg(0).arg("COUNT").arg(1);
        link.ask("listing keys", command).await.map(|_| ())
    }

    fn documents<'a>(&'a self, cx: &'a Context) -> BoxStream<'a, Result<Event>> {
        emit::stream(move |emit| async move { self.list(cx, &emit).await })
    }
}

#[async_trait]
impl AdvancedRules for RedisSource {
    async fn check_rules(&self, snippet: &Value) -> Result<Vec<String>> {
        let targets = match rules::targets(snippet) {
            Ok(targets) => targets.unwrap_or_default(),
            Err(faults) => return Ok(faults),
        };
        if targets.is_empty() {
            return Ok(Vec::new());
        }
        let mut link = self.server.connect().await?;
        let missing = missing(&mut link, &targets).await?;
        Ok(if missing.is_empty() { Vec::new() } else { vec![format!("{}.", not_available(&missing))] })
    }
}

impl Resumable for RedisSource {}

/// Databases that the server does not have.
async fn missing(link: &mut Link, targets: &[Target]) -> Result<Vec<u32>> {
    let mut missing = Vec::new();
    for target in targets {
        match link.select(target.database).await {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::InvalidData => {
                if !missing.contains(&target.database) {
                    missing.push(target.database);
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok(missing)
}

fn not_available(missing: &[u32]) -> String {
    let missing: Vec<String> = missing.iter().map(u32::to_string).collect();
    format!("Database {} are not available", missing.join(","))
}

/// In the words of other implementations of this source.
fn unavailable(missing: &[u32], odd: &[&str]) -> Error {
    let odd = odd.join(",");
    let message = match (missing.is_empty(), odd.is_empty()) {
        (false, true) => format!("{}.", not_available(missing)),
        (true, _) => {
            format!("All database element should be integer. Please correct database name: {odd}")
        }
        (false, false) => format!(
            "{}. Also database element should be integer. Please correct database name: {odd}",
            not_available(missing)
        ),
    };
    Error::new(ErrorKind::Config, message)
        .hint("set numbers of databases that the server has, such as 0,1, or *")
}

fn identity(config: &RedisConfig, server: &str) -> String {
    let mut digest = Md5::new();
    let user = config.username.as_deref().unwrap_or_default();
    let parts = [server, user, config.value_format.name()];
    for part in parts.into_iter().chain(config.database.iter().map(String::as_str)) {
        digest.update(part);
        digest.update([0]);
    }
    hex(&digest.finalize())
}

fn fingerprint(rules: Option<&[Target]>) -> String {
    rules.map_or_else(|| "all".to_owned(), |rules| hex(&Md5::digest(format!("{rules:?}"))))
}

/// A listing under way.
struct Listing<'a> {
    link: Link,
    emit: &'a Emitter,
    of: String,
    format: Format,
    /// Bytes of the largest value that is read.
    limit: u64,
    recent: Recent,
}

impl Listing<'_> {
    /// Lists one target. A database that cannot be chosen leaves a gap; the others are still worth having.
    async fn target(&mut self, place: usize, target: &Target, mut scan: String) -> Result<(), Stop> {
        if let Err(error) = self.link.select(target.database).await {
            return match error.kind() {
                ErrorKind::Permission | ErrorKind::InvalidData => {
                    Ok(self.emit.send(Event::Incomplete(error)).await?)
                }
                _ => Err(error.into()),
            };
        }
        loop {
            let (next, mut keys) = keys::page(&mut self.link, target, &scan).await?;
            keys.retain(|key| self.recent.is_new(digest(&target.name, key)));
            for group in keys.chunks(GROUP) {
                self.group(target, group).await?;
            }
            if next == start() {
                return Ok(());
            }
            if !keys.is_empty() {
                self.checkpoint(place, target, &next).await?;
            }
            scan = next;
        }
    }

    async fn checkpoint(&self, target: usize, at: &Target, scan: &str) -> Result<(), Gone> {
        let (Some(run), database) = (self.link.run.clone(), at.database) else { return Ok(()) };
        let position = Position { of: self.of.clone(), run, target, database, scan: scan.to_owned() };
        match position.cursor() {
            Some(cursor) => self.emit.send(Event::Checkpoint(cursor)).await,
            // Without it a killed sync begins a little earlier.
            None => Ok(()),
        }
    }

    /// Lists keys; those whose type changes meanwhile are looked at again.
    async fn group(&mut self, target: &Target, keys: &[Bytes]) -> Result<(), Stop> {
        let mut pending = keys.to_vec();
        for _ in 0..LOOKS {
            pending = self.look_and_read(target, &pending).await?;
            if pending.is_empty() {
                return Ok(());
            }
        }
        for key in pending {
            let message = format!("the type of the key '{}' keeps changing", read::shown(&key));
            self.skip(target, &key, Error::new(ErrorKind::Unavailable, message)).await?;
        }
        Ok(())
    }

    /// Returns the keys whose type changed.
    async fn look_and_read(&mut self, target: &Target, keys: &[Bytes]) -> Result<Vec<Bytes>, Stop> {
        let (looked, unreadable) = keys::look(&mut self.link, target, keys).await?;
        for (key, error) in unreadable {
            self.skip(target, &key, error).await?;
        }
        let mut changed = Vec::new();
        let mut rest = looked.as_slice();
        while !rest.is_empty() {
            let outcomes = read::next(&mut self.link, rest, self.limit).await?;
            let (read, after) = rest.split_at(outcomes.len().min(rest.len()));
            for (looked, outcome) in read.iter().zip(outcomes) {
                match outcome {
                    Outcome::Read(content) => self.tell(target, looked, content).await?,
                    Outcome::Gone => {}
                    Outcome::Changed => changed.push(looked.key.clone()),
                    Outcome::Unreadable(error) => self.skip(target, &looked.key, error).await?,
                }
            }
            rest = after;
        }
        Ok(changed)
    }

    async fn tell(&self, target: &Target, looked: &read::Looked, content: Content) -> Result<(), Stop> {
        let found = Found { database: &target.name, key: &looked.key, kind: &looked.kind, size: looked.size };
        let document = document(&found, content, self.format)?;
        Ok(self.emit.send(Event::Upsert(document)).await?)
    }

    async fn skip(&self, target: &Target, key: &[u8], error: Error) -> Result<(), Stop> {
        let id = id(&target.name, key)?;
        Ok(self.emit.send(Event::Skipped { id, error }).await?)
    }
}
