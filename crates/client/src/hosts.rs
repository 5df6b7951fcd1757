use std::time::Duration;

use tokio::time::Instant;

/// First cool-down of a host that failed; doubled at each further failure in a row.
const FIRST_COOL_DOWN: Duration = Duration::from_secs(1);
/// Longest cool-down.
const LONGEST_COOL_DOWN: Duration = Duration::from_secs(30);

/// Which host gets the next request: round robin over those that are well, and a failed one is left alone for a
/// while. Pure: time is an argument.
#[derive(Debug)]
pub(crate) struct Hosts {
    all: Vec<Health>,
    turn: usize,
}

#[derive(Clone, Copy, Debug, Default)]
struct Health {
    failures: u32,
    down_until: Option<Instant>,
    proven: bool,
}

impl Health {
    fn is_down(&self, now: Instant) -> bool {
        self.down_until.is_some_and(|until| until > now)
    }
}

impl Hosts {
    /// `count` hosts of which nothing is known. `count` must not be 0.
    pub(crate) fn new(count: usize) -> Self {
        Self { all: vec![Health::default(); count], turn: 0 }
    }

    /// The host to ask: one that is well, if possible not in `tried`, else the one whose cool-down ends first.
    pub(crate) fn pick(&mut self, now: Instant, tried: &[usize]) -> usize {
        let count = self.all.len();
        let turns = (0..count).map(|step| (self.turn + step) % count);
        let chosen = turns.min_by_key(|&at| {
            let host = &self.all[at];
            (host.down_until.filter(|_| host.is_down(now)), tried.contains(&at))
        });
        let chosen = chosen.unwrap_or(0);
        self.turn = (chosen + 1) % count;
        chosen
    }

    /// Whether another host is well and was not tried yet.
    pub(crate) fn has_fresh(&self, now: Instant, tried: &[usize]) -> bool {
        self.all.iter().enumerate().any(|(at, host)| !tried.contains(&at) && !host.is_down(now))
    }

    /// Whether `host` answered the last time it was asked.
    pub(crate) fn is_proven(&self, host: usize) -> bool {
        self.all[host].proven
    }

    /// `host` answered.
    pub(crate) fn succeeded(&mut self, host: usize) {
        self.all[host] = Health { failures: 0, down_until: None, proven: true };
    }

    /// `host` did not answer, or cannot serve.
    pub(crate) fn failed(&mut self, host: usize, now: Instant) {
        let health = &mut self.all[host];
        let cool_down = FIRST_COOL_DOWN.saturating_mul(1 << health.failures.min(5)).min(LONGEST_COOL_DOWN);
        *health = Health {
            failures: health.failures.saturating_add(1),
            down_until: Some(now + cool_down),
            proven: false,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_that_are_well_take_turns() {
        let mut hosts = Hosts::new(3);
        let now = Instant::now();
        let picked: Vec<usize> = (0..6).map(|_| hosts.pick(now, &[])).collect();
        assert_eq!(picked, [0, 1, 2, 0, 1, 2]);
    }

    #[test]
    fn a_failed_host_is_left_alone_until_its_cool_down_ends() {
        let mut hosts = Hosts::new(2);
        let now = Instant::now();
        hosts.failed(0, now);
        assert!((0..4).all(|_| hosts.pick(now, &[]) == 1));
        let later = now + FIRST_COOL_DOWN;
        assert!((0..2).any(|_| hosts.pick(later, &[]) == 0));
    }

    #[test]
    fn the_cool_down_doubles_up_to_its_cap_and_ends_with_a_success() {
        let mut hosts = Hosts::new(2);
        let now = Instant::now();
        for expected in [1, 2, 4, 8, 16, 30, 30] {
            hosts.failed(0, now);
            assert!(hosts.all[0].is_down(now + Duration::from_millis(expected * 1000 - 1)), "{expected}");
            assert!(!hosts.all[0].is_down(now + Duration::from_secs(expected)), "{expected}");
        }
        hosts.succeeded(0);
        assert!(!hosts.all[0].is_down(now));
    }

    #[test]
    fn when_all_are_down_the_first_to_recover_is_asked() {
        let mut hosts = Hosts::new(3);
        let now = Instant::now();
        for host in [2, 0, 1] {
            hosts.failed(host, now + Duration::from_millis(host as u64));
        }
        hosts.failed(0, now);
        assert_eq!(hosts.pick(now + Duration::from_millis(5), &[]), 1);
        assert!(!hosts.has_fresh(now + Duration::from_millis(5), &[]));
    }

    #[test]
    fn a_tried_host_is_not_fresh() {
        let mut hosts = Hosts::new(2);
        let now = Instant::now();
        assert!(hosts.has_fresh(now, &[0]));
        assert_eq!(hosts.pick(now, &[0]), 1);
        assert!(!hosts.has_fresh(now, &[0, 1]));
    }
}
