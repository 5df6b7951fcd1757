//! Judges what workers did, by their requests alone. Knows the protocol, and nothing of how the daemon works.

use std::collections::{BTreeMap, BTreeSet};

/// One write of a worker, as whoever stood between it and the cluster saw it.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    /// Which process; a restarted one is another.
    pub(crate) worker: usize,
    pub(crate) what: What,
    /// Place of the request, and of its answer, among all requests and answers.
    pub(crate) begun: u64,
    pub(crate) ended: u64,
    /// When it began and ended, in milliseconds.
    pub(crate) at: (u64, u64),
    pub(crate) outcome: Outcome,
}

impl Event {
    /// Whether it has ended a job.
    pub(crate) fn is_end(&self) -> bool {
        let What::Job { status: Some(status), .. } = &self.what else { return false };
        FINAL.contains(&status.as_str()) && matches!(self.outcome, Outcome::Done(..))
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// A write of a job's document.
    Job { job: String, status: Option<String>, token: Option<String> },
    /// Documents written into an index.
    Data { index: String },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Carried out; for a single document, as its version: primary term and sequence number.
    Done(u64, u64),
    Refused,
    /// No answer came: it may have been carried out.
    Unknown,
}

/// What there was to do.
#[derive(Clone, Debug, Default)]
pub(crate) struct Asked {
    /// Each job's connector.
    pub(crate) jobs: BTreeMap<String, String>,
    /// Each index's connector.
    pub(crate) indices: BTreeMap<String, String>,
    /// How each job stands in the end.
    pub(crate) statuses: BTreeMap<String, String>,
    /// Milliseconds for which a silent worker keeps its job.
    pub(crate) lease: u64,
    /// Milliseconds after which a silent worker's job must have been taken over.
    pub(crate) latest: u64,
    /// From when to when the cluster was away, in milliseconds: nobody can be heard then.
    pub(crate) away: Vec<(u64, u64)>,
}

/// What a good history consisted of.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    pub(crate) claims: usize,
    pub(crate) takeovers: usize,
    /// Milliseconds from the last sign of life of a worker to the take-over of its job, the longest. While the cluster
    /// is away does not count.
    pub(crate) longest_silence: u64,
    pub(crate) data_writes: usize,
    /// Data writes that were under way when another worker took the job over.
    pub(crate) overtaken: usize,
    /// Claims that were given up before anything was written.
    pub(crate) given_up: usize,
    /// Jobs that each worker ended.
    pub(crate) ended_by: BTreeMap<usize, usize>,
}

/// A worker has a job: from the answer to its claim to the request of its last write, or the claim of the next.
#[derive(Clone, Debug)]
struct Hold {
    worker: usize,
    job: String,
    from: u64,
    until: u64,
    /// Whether another worker ended it.
    taken: bool,
    /// Whether the worker left the job as one that is to be run still.
    left: bool,
}

impl Hold {
    /// Whether the worker wrote documents meanwhile.
    fn has_written(&self, events: &[Event], indices: &[&String]) -> bool {
        events.iter().any(|event| {
            let What::Data { index } = &event.what else { return false };
            event.worker == self.worker
                && indices.contains(&index)
                && self.from < event.begun
                && event.begun < self.until
        })
    }
}

const FINAL: [&str; 3] = ["completed", "error", "canceled"];

/// Every rule that the history breaks; else its figures.
pub(crate) fn check(asked: &Asked, events: &[Event]) -> Result<Figures, Vec<String>> {
    let (mut problems, mut figures) = (Vec::new(), Figures::default());
    let mut holds: BTreeMap<&str, Vec<Hold>> = BTreeMap::new();
    for (job, connector) in &asked.jobs {
        let found = job_holds(asked, job, events, &mut figures, &mut problems);
        holds.entry(connector).or_default().extend(found);
    }
    for (connector, holds) in &mut holds {
        holds.sort_by_key(|hold| hold.from);
        let indices: Vec<&String> =
            asked.indices.iter().filter(|(_, of)| of == connector).map(|(index, _)| index).collect();
        // Whoever claims a job, writes nothing and leaves it again has not run it.
        let ran: Vec<&Hold> =
            holds.iter().filter(|hold| !hold.left || hold.has_written(events, &indices)).collect();
        figures.given_up += holds.len() - ran.len();
        for (at, hold) in ran.iter().enumerate() {
            for other in ran[at + 1..].iter().filter(|other| other.job != hold.job && other.from < hold.until)
            {
                problems.push(format!("{connector}: {other:?} while {hold:?}"));
            }
        }
    }
    for event in events {
        match &event.what {
            What::Job { job, .. } if !asked.jobs.contains_key(job) => {
                problems.push(format!("nobody asked for the job {job}"));
            }
            What::Data { index } if event.outcome != Outcome::Refused => {
                figures.data_writes += 1;
                let connector = asked.indices.get(index).map(String::as_str);
                let held = holds.get(connector.unwrap_or_default()).into_iter().flatten();
                let held = held.filter(|hold| hold.worker == event.worker);
                match held.clone().find(|hold| hold.from < event.begun && event.begun < hold.until) {
                    Some(hold) => figures.overtaken += usize::from(hold.taken && event.ended > hold.until),
                    None => problems.push(format!(
                        "{event:?} without a job, which it had {held:?}",
                        held = held.collect::<Vec<_>>()
                    )),
                }
            }
            _ => {}
        }
    }
    if problems.is_empty() { Ok(figures) } else { Err(problems) }
}

/// Walks through the writes of one job in the order in which the cluster took them.
fn job_holds(
    asked: &Asked,
    job: &str,
    events: &[Event],
    figures: &mut Figures,
    problems: &mut Vec<String>,
) -> Vec<Hold> {
    let of_job = |event: &&Event| matches!(&event.what, What::Job { job: of, .. } if of == job);
    let mut done: Vec<(&Event, (u64, u64))> = events
        .iter()
        .filter(of_job)
        .filter_map(|event| match event.outcome {
            Outcome::Done(term, number) => Some((event, (term, number))),
            _ => None,
        })
        .collect();
    done.sort_by_key(|(_, version)| *version);
    let unknown: Vec<&Event> =
        events.iter().filter(of_job).filter(|event| event.outcome == Outcome::Unknown).collect();
    // Claims and ends without an answer that were carried out after all, as what came later shows.
    let lost_claim = |worker: usize, after: u64| {
        unknown
            .iter()
            .copied()
            .find(|event| event.worker == worker && event.ended > after && token(event).is_some())
    };

    let mut holds: Vec<Hold> = Vec::new();
    let mut holder: Option<usize> = None;
    let mut tokens = BTreeSet::new();
    let mut ended = false;
    let mut heard = 0;
    for (event, _) in done {
        if ended {
            problems.push(format!("{job}: {event:?} after its end"));
            continue;
        }
        if let Some(new) = token(event) {
            figures.claims += 1;
            if !tokens.insert(new) {
                problems.push(format!("{job}: {event:?} claims with a token that was used before"));
            }
            if let Some(last) = holder.and_then(|_| holds.last_mut()) {
                let back = asked.away.iter().filter(|away| away.0 <= event.at.0 && heard <= away.1);
                let waited = event.at.0.saturating_sub(back.map(|away| away.1).max().unwrap_or(heard));
                if waited > asked.latest {
                    problems
                        .push(format!("{job}: {event:?} takes it {waited} ms after its worker went silent"));
                }
                let silence = event.at.0.saturating_sub(heard);
                figures.takeovers += 1;
                figures.longest_silence = figures.longest_silence.max(waited);
                // Whoever sends a renewal may have stood still since the moment from which it counts.
                if silence < asked.lease * 4 / 10 {
                    problems
                        .push(format!("{job}: {event:?} takes it from a worker heard of {silence} ms ago"));
                }
                (last.until, last.taken) = (event.ended, true);
            }
            holder = Some(event.worker);
            holds.push(Hold {
                worker: event.worker,
                job: job.to_owned(),
                from: event.ended,
                until: u64::MAX,
                taken: false,
                left: false,
            });
        } else if holder != Some(event.worker) {
            let after = holds.last().map_or(0, |hold| hold.from);
            match lost_claim(event.worker, after) {
                Some(claim) => {
                    figures.claims += 1;
                    if let Some(last) = holder.and_then(|_| holds.last_mut()) {
                        (last.until, last.taken) = (claim.ended.max(claim.begun + 1), true);
                    }
                    holder = Some(event.worker);
                    holds.push(Hold {
                        worker: event.worker,
                        job: job.to_owned(),
                        from: claim.begun,
                        until: u64::MAX,
                        taken: false,
                        left: false,
                    });
                }
                None => problems.push(format!("{job}: {event:?} of a worker that has no claim")),
            }
        }
        // What took the cluster long was sent in time.
        heard = event.at.0;
        let What::Job { status: Some(status), .. } = &event.what else { continue };
        let over = FINAL.contains(&status.as_str());
        if over {
            ended = true;
            *figures.ended_by.entry(event.worker).or_default() += 1;
        }
        if over || status == "suspended" || status == "pending" {
            holder = None;
            if let Some(last) = holds.last_mut() {
                (last.until, last.left) = (event.begun, !over);
            }
        }
    }
    let status = asked.statuses.get(job).map_or("gone", String::as_str);
    if !ended {
        // Its answer may have been lost.
        let end = unknown.iter().find(|event| matches!(&event.what, What::Job { status: Some(status), .. } if FINAL.contains(&status.as_str())));
        match end {
            Some(end) if FINAL.contains(&status) => {
                if let Some(last) = holds.last_mut() {
                    last.until = end.begun;
                }
                *figures.ended_by.entry(end.worker).or_default() += 1;
            }
            _ => problems.push(format!("{job} was never ended")),
        }
    }
    if status != "completed" {
        problems.push(format!("{job} is {status} in the end"));
    }
    holds
}

fn token(event: &Event) -> Option<&str> {
    match &event.what {
        What::Job { token, .. } => token.as_deref(),
        What::Data { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(worker: usize, at: u64, number: u64, status: &str, token: Option<&str>) -> Event {
        let what = What::Job {
            job: "j".to_owned(),
            status: (!status.is_empty()).then(|| status.to_owned()),
            token: token.map(str::to_owned),
        };
        let outcome = Outcome::Done(1, number);
        Event { worker, what, begun: at, ended: at + 1, at: (at * 100, at * 100 + 100), outcome }
    }

    fn data(worker: usize, at: u64) -> Event {
        Event { what: What::Data { index: "i".to_owned() }, ..job(worker, at, 0, "", None) }
    }

    fn asked() -> Asked {
        let map = |name: &str, value: &str| BTreeMap::from([(name.to_owned(), value.to_owned())]);
        Asked {
            jobs: map("j", "c"),
            indices: map("i", "c"),
            statuses: map("j", "completed"),
            lease: 1000,
            latest: 2000,
            away: Vec::new(),
        }
    }

    /// Claimed, written, renewed, left; taken over after the lease, written, ended.
    fn good() -> Vec<Event> {
        vec![
            job(1, 10, 1, "in_progress", Some("a")),
            data(1, 12),
            job(1, 14, 2, "", None),
            job(2, 30, 3, "in_progress", Some("b")),
            data(2, 32),
            job(2, 34, 4, "completed", None),
        ]
    }

    fn problems(asked: &Asked, events: &[Event]) -> String {
        check(asked, events).expect_err("a bad history is found").join("\n")
    }

    #[test]
    fn a_good_history_is_good() {
        let figures = check(&asked(), &good()).unwrap();
        assert_eq!((figures.claims, figures.takeovers, figures.longest_silence), (2, 1, 1600));
        assert_eq!((figures.data_writes, figures.overtaken), (2, 0));
        assert_eq!(figures.ended_by, BTreeMap::from([(2, 1)]));
    }

    #[test]
    fn each_forged_history_is_found_out() {
        type Forge = fn(&mut Asked, &mut Vec<Event>);
        let forged: [(&str, Forge); 12] = [
            ("was never ended", |_, events| drop(events.pop())),
            ("is gone in the end", |asked, _| asked.statuses.clear()),
            ("is error in the end", |asked, _| drop(asked.statuses.insert("j".into(), "error".into()))),
            ("after its end", |_, events| events.push(job(2, 40, 5, "completed", None))),
            ("after its end", |_, events| events.push(job(3, 40, 5, "in_progress", Some("c")))),
            ("heard of 200 ms ago", |_, events| events[3] = job(2, 16, 3, "in_progress", Some("b"))),
            ("1600 ms after its worker went silent", |asked, _| asked.latest = 1400),
            ("a token that was used", |_, events| events[3] = job(2, 30, 3, "in_progress", Some("a"))),
            // The first worker comes back and writes the job, then documents.
            ("of a worker that has no claim", |_, events| events.insert(5, job(1, 33, 3, "", None))),
            ("without a job", |_, events| events.insert(5, data(1, 33))),
            ("without a job", |_, events| events.push(data(2, 40))),
            ("nobody asked for", |asked, _| asked.jobs.clear()),
        ];
        for (told, forge) in forged {
            let (mut asked, mut events) = (asked(), good());
            forge(&mut asked, &mut events);
            if told.contains("no claim") {
                // Between the second claim and the end, as the cluster counts.
                events.last_mut().unwrap().outcome = Outcome::Done(1, 9);
                events[5].outcome = Outcome::Done(1, 5);
            }
            let problems = problems(&asked, &events);
            assert!(problems.contains(told), "{told}: {problems}");
        }
    }

    #[test]
    fn two_jobs_of_a_connector_at_once_are_found_out() {
        let mut asked = asked();
        asked.jobs.insert("k".to_owned(), "c".to_owned());
        asked.statuses.insert("k".to_owned(), "completed".to_owned());
        let of_k = |mut event: Event| {
            if let What::Job { job, .. } = &mut event.what {
                *job = "k".to_owned();
            }
            event
        };
        let run =
            |at| [of_k(job(3, at, 1, "in_progress", Some("k"))), of_k(job(3, at + 8, 2, "completed", None))];
        let with = |at| good().into_iter().chain(run(at)).collect::<Vec<_>>();
        assert!(problems(&asked, &with(29)).contains("while"));
        // While the first worker is silent its job still is its own.
        assert!(problems(&asked, &with(18)).contains("while"));
        assert!(check(&asked, &with(36)).is_ok());
    }

    #[test]
    fn a_claim_that_is_given_up_is_no_run_unless_it_wrote() {
        let mut asked = asked();
        asked.jobs.insert("k".to_owned(), "c".to_owned());
        asked.statuses.insert("k".to_owned(), "completed".to_owned());
        let of_k = |at, number, status, token| {
            let mut event = job(3, at, number, status, token);
            if let What::Job { job, .. } = &mut event.what {
                *job = "k".to_owned();
            }
            event
        };
        let mut events = good();
        events.extend([of_k(11, 1, "in_progress", Some("k")), of_k(13, 2, "suspended", None)]);
        events.extend([of_k(50, 3, "in_progress", Some("l")), of_k(52, 4, "completed", None)]);
        assert_eq!(check(&asked, &events).unwrap().given_up, 1);
        // Its request is begun after the claim's answer and before the job is left.
        events[7].begun = 15;
        events.push(data(3, 13));
        assert!(problems(&asked, &events).contains("while"));
    }

    #[test]
    fn nobody_is_late_while_the_cluster_is_away() {
        let asked = Asked { latest: 1400, away: vec![(1000, 2000)], ..asked() };
        assert_eq!(check(&asked, &good()).unwrap().longest_silence, 1000);
        let asked = Asked { away: vec![(0, 1000)], ..asked };
        assert!(problems(&asked, &good()).contains("after its worker went silent"));
    }

    #[test]
    fn a_lost_answer_is_no_fault() {
        let mut events = good();
        events[3].outcome = Outcome::Unknown;
        check(&asked(), &events).unwrap();
        let mut events = good();
        events[5].outcome = Outcome::Unknown;
        check(&asked(), &events).unwrap();
    }
}
