//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use tributary_settings::Settings;

use crate::error::Result;
use crate::output::Format;
use crate::target;

/// Where the embedded node listens unless told otherwise.
pub(crate) const DEFAULT_LISTEN: &str = "127.0.0.1:9200";

/// Many streams, one index: syncs content into Elasticsearch, or into the node built into this program.
#[derive(Debug, Parser)]
#[command(name = "tributary", version, propagate_version = true, arg_required_else_help = true)]
pub(crate) struct Cli {
    /// What to log: a level (error, warn, info, debug, trace) or tracing directives. Logs go to stderr.
    #[arg(long, global = true, env = "TRIBUTARY_LOG", value_name = "LEVEL")]
    pub(crate) log: Option<String>,

    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Quickstart(QuickstartArgs),
    Run(RunArgs),
    Serve(ServeArgs),
    /// Create, list and change connectors.
    #[command(subcommand)]
    Connector(ConnectorCommand),
    /// Start, watch and cancel sync jobs.
    #[command(subcommand)]
    Job(JobCommand),
    /// List, empty and delete content indices.
    #[command(subcommand)]
    Index(IndexCommand),
    /// Users and API keys of the embedded node.
    #[command(subcommand)]
    Node(NodeCommand),
    Login(LoginArgs),
    Sync(SyncArgs),
    Search(SearchArgs),
    /// The kinds of source built into this program.
    #[command(subcommand)]
    Source(SourceCommand),
    Check(CheckArgs),
    Completions(CompletionsArgs),
    /// Write the manual pages of every command into a folder.
    #[command(hide = true)]
    Man {
        /// The folder, which must exist.
        folder: PathBuf,
    },
}

/// Print a shell's completions of this program's commands and options.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  tributary completions bash > ~/.local/share/bash-completion/completions/tributary"
)]
pub(crate) struct CompletionsArgs {
    /// The shell.
    pub(crate) shell: clap_complete::Shell,
}

/// Sync a folder into the embedded node and make it searchable, in one command.
///
/// Starts the node, creates a connector for the folder, syncs it, prints a search to try, and stays up: the folder
/// is synced again every 30 seconds. Ctrl-C stops; the same command goes on where it stopped.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  tributary quickstart ~/notes")]
pub(crate) struct QuickstartArgs {
    /// The folder to sync.
    #[arg(default_value = "docs")]
    pub(crate) path: PathBuf,
    #[command(flatten)]
    pub(crate) node: NodeArgs,
    /// Which files, as a glob pattern relative to the folder.
    #[arg(long, default_value = "**/*.*")]
    pub(crate) pattern: String,
    /// Stop once the first sync has ended.
    #[arg(long)]
    pub(crate) once: bool,
}

/// Run the daemon: sync connectors by their schedules and on demand.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  tributary run -c config.yml\n  tributary run --embedded")]
pub(crate) struct RunArgs {
    /// Start the embedded node in this process too. The default when the configuration names no Elasticsearch host.
    #[arg(long)]
    pub(crate) embedded: bool,
    #[command(flatten)]
    pub(crate) node: NodeArgs,
}

/// Run the embedded node alone.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  tributary serve --listen 127.0.0.1:9200 --data ./tributary-data")]
pub(crate) struct ServeArgs {
    #[command(flatten)]
    pub(crate) node: NodeArgs,
    /// The Elasticsearch version that the node reports, for clients that insist on one.
    #[arg(long, value_name = "VERSION")]
    pub(crate) compat_version: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct NodeArgs {
    /// The configuration file; see config.example.yml.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Where the embedded node listens; overrides tributary.node.listen. Port 0 picks a free port. Other than loopback
    /// needs a user: see `tributary node user add` [default: 127.0.0.1:9200].
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: Option<SocketAddr>,
    /// Where the embedded node keeps its data; overrides tributary.data_dir [default: tributary-data].
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Serve HTTPS with the certificate of this PEM file; overrides tributary.node.tls.certificate.
    #[arg(long, value_name = "FILE")]
    pub(crate) tls_cert: Option<PathBuf>,
    /// The certificate's private key, a PEM file; overrides tributary.node.tls.key.
    #[arg(long, value_name = "FILE")]
    pub(crate) tls_key: Option<PathBuf>,
}

impl NodeArgs {
    /// What they override in the configuration.
    pub(crate) fn overrides(&self) -> Vec<(&'static str, String)> {
        let path = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
        let all = [
            ("tributary.node.listen", self.listen.map(|listen| listen.to_string())),
            ("tributary.data_dir", path(&self.data)),
            ("tributary.node.tls.certificate", path(&self.tls_cert)),
            ("tributary.node.tls.key", path(&self.tls_key)),
        ];
        all.into_iter().filter_map(|(key, value)| Some((key, value?))).collect()
    }

    /// The configuration with them.
    pub(crate) fn settings(&self) -> Result<Settings> {
        target::settings(self.config.as_deref(), &self.overrides())
    }
}

/// How to reach the engine of record: flags, environment, or a configuration file.
#[derive(Debug, Args)]
pub(crate) struct TargetArgs {
    /// Address of Elasticsearch or of the embedded node [default: the configuration's, else that of `tributary login`,
    /// else http://127.0.0.1:9200].
    #[arg(long, env = "TRIBUTARY_HOST", value_name = "URL")]
    pub(crate) host: Option<String>,
    /// API key, encoded form. Prefer the environment variable: arguments can be seen by other users.
    #[arg(long, env = "TRIBUTARY_API_KEY", value_name = "KEY", hide_env_values = true)]
    pub(crate) api_key: Option<String>,
    /// User name for basic authentication; the password comes from TRIBUTARY_PASSWORD, or is asked for on a terminal.
    #[arg(long, env = "TRIBUTARY_USERNAME", value_name = "NAME")]
    pub(crate) username: Option<String>,
    /// PEM file with the authorities to trust, for https.
    #[arg(long, env = "TRIBUTARY_CA_CERTS", value_name = "FILE")]
    pub(crate) ca_certs: Option<PathBuf>,
    /// Take the address and credentials from this configuration file.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct OutputArgs {
    /// Form of the result.
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    pub(crate) output: Format,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConnectorCommand {
    /// Create a connector. What is needed and was not given is asked for on a terminal.
    #[command(
        after_help = "Example:\n  tributary connector create --service-type dir --index notes \\\n    \
        --set directory=/srv/notes --full '0 0 * * * ?'"
    )]
    Create(ConnectorCreateArgs),
    /// List connectors.
    #[command(after_help = "Example:\n  tributary connector list --output json")]
    List {
        #[command(flatten)]
        target: TargetArgs,
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Show one connector: status, configuration (sensitive values masked), schedules, last sync.
    #[command(after_help = "Example:\n  tributary connector show notes")]
    Show {
        /// The connector's id.
        id: String,
        #[command(flatten)]
        target: TargetArgs,
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Change configuration values of a connector.
    #[command(after_help = "Example:\n  tributary connector configure notes --set pattern='**/*.md'")]
    Configure {
        /// The connector's id.
        id: String,
        /// A configuration value, KEY=VALUE; may be repeated. VALUE `@FILE` is read from a file.
        #[arg(long = "set", value_name = "KEY=VALUE", required = true)]
        values: Vec<String>,
        #[command(flatten)]
        target: TargetArgs,
    },
    /// Set when a connector syncs.
    #[command(after_help = "Example:\n  tributary connector schedule notes --full '0 0/30 * * * ?'\n  \
        tributary connector schedule notes --full off")]
    Schedule {
        /// The connector's id.
        id: String,
        #[command(flatten)]
        schedule: ScheduleArgs,
        #[command(flatten)]
        target: TargetArgs,
    },
    /// Which documents of the source are synced: show, change, check and activate the rules.
    #[command(subcommand)]
    Rules(RulesCommand),
    /// Delete a connector. Its content index stays.
    #[command(after_help = "Example:\n  tributary connector delete notes --sync-jobs")]
    Delete {
        /// The connector's id.
        id: String,
        /// Remove it physically instead of marking it deleted.
        #[arg(long)]
        hard: bool,
        /// Delete its sync jobs too.
        #[arg(long)]
        sync_jobs: bool,
        #[command(flatten)]
        target: TargetArgs,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum RulesCommand {
    /// Show the active rules and the draft, with what is wrong with it.
    #[command(after_help = "Example:\n  tributary connector rules show notes")]
    Show {
        /// The connector's id.
        id: String,
        #[command(flatten)]
        target: TargetArgs,
        #[command(flatten)]
        output: OutputArgs,
    },
    Set(RulesSetArgs),
    /// Check the draft, its advanced rules with the source, and note the outcome. A running daemon does so by itself.
    #[command(after_help = "Example:\n  tributary connector rules validate notes")]
    Validate {
        /// The connector's id.
        id: String,
        #[command(flatten)]
        target: TargetArgs,
    },
    /// Make the draft active; it must have been found valid. A running daemon does so by itself.
    #[command(after_help = "Example:\n  tributary connector rules activate notes")]
    Activate {
        /// The connector's id.
        id: String,
        #[command(flatten)]
        target: TargetArgs,
    },
}

/// Replace the draft of the rules. The first rule that matches a document decides; what none matches is synced.
///
/// POLICY is include or exclude; CONDITION is equals, contains, starts_with, ends_with, regex, > or <.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  tributary connector rules set notes --rule 'exclude path ends_with .tmp'\n  \
    tributary connector rules set orders --advanced rules.json"
)]
pub(crate) struct RulesSetArgs {
    /// The connector's id.
    pub(crate) id: String,
    /// A basic rule; may be repeated, in the order in which they are asked.
    #[arg(long, value_name = "POLICY FIELD CONDITION VALUE")]
    pub(crate) rule: Vec<String>,
    /// The basic rules as a JSON array, as `show --output json` prints them. `[]` removes all.
    #[arg(long, value_name = "FILE", conflicts_with = "rule")]
    pub(crate) rules: Option<PathBuf>,
    /// The advanced rules, JSON in the source's own language. `{}` removes them.
    #[arg(long, value_name = "FILE")]
    pub(crate) advanced: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) target: TargetArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ScheduleArgs {
    /// Quartz expression for full syncs, in UTC, or `off`.
    #[arg(long, value_name = "CRON")]
    pub(crate) full: Option<String>,
    /// Quartz expression for incremental syncs, in UTC, or `off`.
    #[arg(long, value_name = "CRON")]
    pub(crate) incremental: Option<String>,
    /// Quartz expression for access-control syncs, in UTC, or `off`.
    #[arg(long, value_name = "CRON")]
    pub(crate) access_control: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct ConnectorCreateArgs {
    /// Kind of source; `tributary source list` shows them. Asked for on a terminal.
    #[arg(long, value_name = "TYPE")]
    pub(crate) service_type: Option<String>,
    /// Index that receives the documents. Asked for on a terminal.
    #[arg(long, visible_alias = "index-name", value_name = "INDEX")]
    pub(crate) index: Option<String>,
    /// The connector's id [default: chosen by the server].
    #[arg(long)]
    pub(crate) id: Option<String>,
    /// The connector's name [default: the index].
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// What it is for.
    #[arg(long)]
    pub(crate) description: Option<String>,
    /// A configuration value, KEY=VALUE; may be repeated. VALUE `@FILE` is read from a file (for secrets).
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) values: Vec<String>,
    /// Configuration values from a JSON file: an object of KEY: VALUE.
    #[arg(long, value_name = "FILE")]
    pub(crate) from_file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) schedule: ScheduleArgs,
    #[command(flatten)]
    pub(crate) target: TargetArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum JobTypeArg {
    /// Everything, with deletions.
    Full,
    /// Only what changed, where the source can tell.
    Incremental,
    /// Who may see what.
    AccessControl,
}

#[derive(Debug, Subcommand)]
pub(crate) enum JobCommand {
    /// Start a sync of a connector; a running daemon picks it up.
    #[command(after_help = "Example:\n  tributary job start notes --wait")]
    Start {
        /// The connector's id.
        #[arg(value_name = "CONNECTOR")]
        connector: String,
        /// What to sync.
        #[arg(short = 't', long, default_value = "full")]
        job_type: JobTypeArg,
        /// Wait until it has ended; the exit code is 1 unless it completed.
        #[arg(long)]
        wait: bool,
        #[command(flatten)]
        target: TargetArgs,
        #[command(flatten)]
        output: OutputArgs,
    },
    /// List sync jobs, newest first.
    #[command(after_help = "Example:\n  tributary job list notes --status error")]
    List {
        /// Only jobs of this connector.
        #[arg(value_name = "CONNECTOR")]
        connector: Option<String>,
        /// Only jobs with this status.
        #[arg(long)]
        status: Option<String>,
        /// How many at the most.
        #[arg(long, default_value_t = 20)]
        size: usize,
        #[command(flatten)]
        target: TargetArgs,
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Show one sync job: status, figures, error, dead letters.
    #[command(after_help = "Example:\n  tributary job view 3vX0yZ8BwbT1q5pXbAcd\n  \
        tributary job view 3vX0yZ8BwbT1q5pXbAcd --logs --follow")]
    View {
        /// The job's id.
        id: String,
        /// Stay until it has ended and show its progress.
        #[arg(long, conflicts_with = "logs")]
        watch: bool,
        /// Show its last log lines instead, as its worker keeps them with the job.
        #[arg(long)]
        logs: bool,
        /// Show further lines as they come, until the job has ended.
        #[arg(long, requires = "logs")]
        follow: bool,
        #[command(flatten)]
        target: TargetArgs,
        #[command(flatten)]
        output: OutputArgs,
    },
    /// List dead letters: what is known of documents that syncs left out and that are not as they should be since.
    #[command(after_help = "Example:\n  tributary job dead-letters 3vX0yZ8BwbT1q5pXbAcd --output json")]
    DeadLetters {
        /// Only those that this job left out last.
        #[arg(value_name = "JOB")]
        id: Option<String>,
        /// Only those of this connector.
        #[arg(long, value_name = "CONNECTOR")]
        connector: Option<String>,
        /// How many are passed over.
        #[arg(long, default_value_t = 0)]
        from: usize,
        /// How many at the most.
        #[arg(long, default_value_t = 100)]
        size: usize,
        #[command(flatten)]
        target: TargetArgs,
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Try again what a job left out: a new job lists the source and writes only these documents, as they are now; a running
    /// daemon picks it up.
    #[command(after_help = "Example:\n  tributary job retry 3vX0yZ8BwbT1q5pXbAcd --wait")]
    Retry {
        /// The job that left documents out.
        #[arg(value_name = "JOB")]
        job: String,
        /// Only this document; may be given several times.
        #[arg(long, value_name = "DOCUMENT")]
        id: Vec<String>,
        /// Wait until it has ended; the exit code is 1 unless it completed.
        #[arg(long)]
        wait: bool,
        #[command(flatten)]
        target: TargetArgs,
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Cancel a sync job.
    #[command(after_help = "Example:\n  tributary job cancel 3vX0yZ8BwbT1q5pXbAcd")]
    Cancel {
        /// The job's id.
        id: String,
        #[command(flatten)]
        target: TargetArgs,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum IndexCommand {
    /// List indices with their document counts.
    #[command(after_help = "Example:\n  tributary index list")]
    List {
        #[command(flatten)]
        target: TargetArgs,
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Delete every document of an index.
    #[command(after_help = "Example:\n  tributary index clean notes --yes")]
    Clean {
        /// The index.
        index: String,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        target: TargetArgs,
    },
    /// Delete an index.
    #[command(after_help = "Example:\n  tributary index delete notes --yes")]
    Delete {
        /// The index.
        index: String,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        target: TargetArgs,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum NodeCommand {
    /// Who may come in. With a user, every request must authenticate; each user has every right.
    #[command(subcommand)]
    User(UserCommand),
    /// API keys, of a running node or of Elasticsearch.
    #[command(subcommand)]
    Key(KeyCommand),
}

#[derive(Debug, Subcommand)]
pub(crate) enum UserCommand {
    /// Add a user, or change a password. The password is asked for, or read from standard input.
    #[command(after_help = "Example:\n  tributary node user add ann --data ./tributary-data")]
    Add {
        /// The user's name.
        name: String,
        #[command(flatten)]
        users: UsersArgs,
    },
    /// List the users.
    #[command(after_help = "Example:\n  tributary node user list")]
    List {
        #[command(flatten)]
        users: UsersArgs,
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Remove a user. API keys that the user has made stay valid.
    #[command(after_help = "Example:\n  tributary node user remove ann")]
    Remove {
        /// The user's name.
        name: String,
        #[command(flatten)]
        users: UsersArgs,
    },
}

/// Which node's users.
#[derive(Debug, Args)]
pub(crate) struct UsersArgs {
    /// The node's data folder; overrides tributary.data_dir [default: tributary-data].
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// The node's configuration file.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// Create an API key and print it, in the encoded form that --api-key and configurations take.
    #[command(after_help = "Example:\n  tributary node key create daemon --expiration 365d --username ann")]
    Create {
        /// The key's name.
        name: String,
        /// How long it is valid, such as 30d [default: for ever].
        #[arg(long, value_name = "TIME")]
        expiration: Option<String>,
        /// JSON file with role descriptors that limit what the key may do.
        #[arg(long, value_name = "FILE")]
        roles: Option<PathBuf>,
        #[command(flatten)]
        target: TargetArgs,
        #[command(flatten)]
        output: OutputArgs,
    },
}

/// Remember an address and credentials for the other commands.
///
/// They are tried, and kept in tributary/login.yml below the user's configuration folder, readable by the user only.
/// What is not given as a flag or variable is asked for on the terminal.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  tributary login --host https://search.example.org:9200")]
pub(crate) struct LoginArgs {
    /// Replace what is remembered without asking.
    #[arg(long)]
    pub(crate) yes: bool,
    #[command(flatten)]
    pub(crate) target: TargetArgs,
}

/// Sync one connector in the foreground, with progress.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  tributary sync notes --plan\n  tributary sync notes")]
pub(crate) struct SyncArgs {
    /// The connector's id.
    #[arg(value_name = "CONNECTOR")]
    pub(crate) connector: String,
    /// What to sync.
    #[arg(short = 't', long, default_value = "full")]
    pub(crate) job_type: JobTypeArg,
    /// Only read the source and the index and print what would be created, updated and deleted; writes nothing.
    #[arg(long)]
    pub(crate) plan: bool,
    /// Allow this sync to delete more than the delete guard lets pass.
    #[arg(long)]
    pub(crate) allow_deletes: bool,
    #[command(flatten)]
    pub(crate) target: TargetArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// Search an index.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  tributary search docs \"delete guard\"")]
pub(crate) struct SearchArgs {
    /// The index.
    pub(crate) index: String,
    /// What to look for; without it, any documents.
    pub(crate) text: Option<String>,
    /// How many hits at the most.
    #[arg(long, default_value_t = 10)]
    pub(crate) size: usize,
    #[command(flatten)]
    pub(crate) target: TargetArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SourceCommand {
    /// List the kinds of source.
    #[command(after_help = "Example:\n  tributary source list")]
    List {
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Begin a kind of source of your own, in a checkout of the repository: a crate that compiles, tests and all.
    #[command(after_help = "Example:\n  tributary source new my-shop --checkout ~/tributary")]
    New {
        /// Its name, in lower-case words.
        name: String,
        /// The checkout [default: the one that holds the current folder].
        #[arg(long, value_name = "DIR")]
        checkout: Option<PathBuf>,
    },
    /// Show a kind of source: its configuration fields and what it can do.
    #[command(after_help = "Example:\n  tributary source describe dir")]
    Describe {
        /// The service type.
        #[arg(value_name = "TYPE")]
        service_type: String,
        #[command(flatten)]
        output: OutputArgs,
    },
}

/// Check a configuration and what it points to; print every problem at once, each with its mend.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  tributary check -c config.yml")]
pub(crate) struct CheckArgs {
    /// The configuration file.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Only check the file, reach for nothing.
    #[arg(long)]
    pub(crate) offline: bool,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}
