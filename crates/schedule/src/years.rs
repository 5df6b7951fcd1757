//! The optional seventh field.

use crate::item::Item;

/// Where `*` begins to count.
pub(crate) const FIRST_YEAR: u32 = 1970;
/// No firing is looked for longer after the instant asked about.
const HORIZON: i32 = 100;

/// The years in which a schedule fires.
#[derive(Clone, Debug)]
pub(crate) struct Years(Vec<Span>);

#[derive(Clone, Copy, Debug)]
struct Span {
    from: i32,
    /// `None`: open.
    to: Option<i32>,
    step: i32,
}

impl Years {
    /// The years of a field's items; every year when the field is not there.
    pub(crate) fn new(items: &[Item]) -> Self {
        let year = |value: u32| i32::try_from(value).unwrap_or(i32::MAX);
        let mut spans: Vec<Span> = items
            .iter()
            .filter_map(|item| match *item {
                Item::Span { from, to, step } => {
                    Some(Span { from: year(from), to: to.map(year), step: year(step) })
                }
                _ => None,
            })
            .collect();
        if spans.is_empty() {
            spans.push(Span { from: year(FIRST_YEAR), to: None, step: 1 });
        }
        Self(spans)
    }

    /// The first firing year at or after `year`, when asked in `asked`.
    pub(crate) fn at_or_after(&self, year: i32, asked: i32) -> Option<i32> {
        self.0.iter().filter_map(|span| span.at_or_after(year, asked)).min()
    }

    /// The last firing year at or before `year`, when asked in `asked`.
    pub(crate) fn at_or_before(&self, year: i32, asked: i32) -> Option<i32> {
        self.0.iter().filter_map(|span| span.at_or_before(year, asked)).max()
    }
}

impl Span {
    /// The last year looked at.
    fn end(self, asked: i32) -> i32 {
        self.to.unwrap_or(i32::MAX).min(asked.saturating_add(HORIZON))
    }

    fn at_or_after(self, year: i32, asked: i32) -> Option<i32> {
        let behind = year.saturating_sub(self.from).max(0);
        let steps = behind / self.step + i32::from(behind % self.step != 0);
        let found = self.from.checked_add(steps.checked_mul(self.step)?)?;
        (found <= self.end(asked)).then_some(found)
    }

    fn at_or_before(self, year: i32, asked: i32) -> Option<i32> {
        let ahead = year.min(self.end(asked)).checked_sub(self.from)?;
        (ahead >= 0).then(|| self.from + ahead / self.step * self.step)
    }
}
