/// The kinds of figures that Prometheus knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    Counter,
    Gauge,
    Histogram,
}

impl Shape {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

macro_rules! metrics {
    ($($name:ident: $shape:ident $text:literal $help:literal),* $(,)?) => {
        /// What is counted.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub(crate) enum Metric { $($name),* }

        impl Metric {
            /// All of them, in the order in which they are shown.
            pub(crate) const ALL: &'static [Self] = &[$(Self::$name),*];

            pub(crate) fn name(self) -> &'static str {
                match self { $(Self::$name => $text),* }
            }

            pub(crate) fn help(self) -> &'static str {
                match self { $(Self::$name => $help),* }
            }

            pub(crate) fn shape(self) -> Shape {
                match self { $(Self::$name => Shape::$shape),* }
            }
        }
    };
}

metrics! {
    Connectors: Gauge "tributary_connectors" "Served connectors by status, as last looked at.",
    OpenJobs: Gauge "tributary_jobs" "Open jobs of all connectors by status and type, as last looked at.",
    Running: Gauge "tributary_jobs_running" "Jobs that run in this process, by type.",
    Started: Counter "tributary_jobs_started_total" "Jobs that this process began or went on with, by type.",
    Finished: Counter "tributary_jobs_finished_total" "Jobs that ended in this process, by type and status.",
    Lost: Counter "tributary_jobs_lost_total" "Jobs that this process lost while they ran: taken over, ended or deleted by others.",
    TakenOver: Counter "tributary_jobs_taken_over_total" "Jobs that this process took over from dead workers.",
    Scheduled: Counter "tributary_jobs_scheduled_total" "Jobs created for slots of schedules, by type.",
    JobSeconds: Histogram "tributary_job_duration_seconds" "Time that jobs ran in this process, by type.",
    Documents: Counter "tributary_documents_total" "Documents of syncs in this process by outcome.",
    Bytes: Counter "tributary_bulk_bytes_total" "Bytes of answered bulk requests, as sent.",
    BulkSeconds: Histogram "tributary_bulk_duration_seconds" "Time of bulk requests, tries and pauses of the client included, by outcome.",
    Renewals: Counter "tributary_lease_renewals_total" "Renewals of leases by outcome.",
    PollSeconds: Histogram "tributary_poll_duration_seconds" "Time of looks at connectors and at open jobs.",
    PollFailures: Counter "tributary_poll_failures_total" "Looks that failed.",
    Checks: Counter "tributary_checks_total" "Checks of sources by outcome.",
    Requests: Counter "tributary_requests_total" "Requests sent to the cluster, each try for itself.",
    Retries: Counter "tributary_request_retries_total" "Requests that were tried again.",
    RequestFailures: Counter "tributary_request_failures_total" "Tries that failed, by kind; throttled are answers with 429.",
    Reloads: Counter "tributary_config_reloads_total" "Times that the configuration was read again and took effect.",
}
