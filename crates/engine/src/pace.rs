/// How many requests may be on their way at once: one more after a round that went well, half as many after one
/// that was throttled, within 1 and the limit.
#[derive(Debug)]
pub(crate) struct Pace {
    limit: usize,
    most: usize,
    good: usize,
}

impl Pace {
    pub(crate) fn new(most: usize) -> Self {
        let most = most.max(1);
        Self { limit: most, most, good: 0 }
    }

    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    pub(crate) fn went_well(&mut self) {
        self.good += 1;
        if self.good >= self.limit * 4 {
            self.limit = (self.limit + 1).min(self.most);
            self.good = 0;
        }
    }

    pub(crate) fn throttled(&mut self) {
        self.limit = (self.limit / 2).max(1);
        self.good = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn throttling_halves_and_success_brings_back() {
        let mut pace = Pace::new(5);
        pace.throttled();
        pace.throttled();
        pace.throttled();
        assert_eq!(pace.limit(), 1);
        for _ in 0..4 {
            pace.went_well();
        }
        assert_eq!(pace.limit(), 2);
        for _ in 0..1000 {
            pace.went_well();
        }
        assert_eq!(pace.limit(), 5);
    }
}
