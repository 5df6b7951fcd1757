//! The tables of `_cat`: columns that are chosen and sorted, as text or as JSON.

use serde_json::{Map, Value, json};

use crate::http::{ApiError, Call, Reply, Result, wildcard_matches};

/// A column that a table can have.
#[derive(Debug, Clone, Copy)]
pub(super) struct Column {
    name: &'static str,
    aliases: &'static [&'static str],
    about: &'static str,
    right: bool,
    /// Whether it is shown when no columns are chosen.
    shown: bool,
}

impl Column {
    /// A column of texts.
    pub(super) const fn new(
        name: &'static str,
        aliases: &'static [&'static str],
        about: &'static str,
    ) -> Self {
        Self { name, aliases, about, right: false, shown: true }
    }

    /// A column of numbers.
    pub(super) const fn right(
        name: &'static str,
        aliases: &'static [&'static str],
        about: &'static str,
    ) -> Self {
        Self { name, aliases, about, right: true, shown: true }
    }

    /// Shown only when chosen.
    pub(super) const fn hidden(self) -> Self {
        Self { shown: false, ..self }
    }

    fn is(&self, name: &str) -> bool {
        self.name == name || self.aliases.contains(&name)
    }
}

/// One value.
#[derive(Debug, Clone)]
pub(super) enum Cell {
    Text(String),
    Number(u64),
    /// Shown in the unit that is asked for.
    Bytes(u64),
}

impl Cell {
    pub(super) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    pub(super) fn number(number: u64) -> Self {
        Self::Number(number)
    }

    pub(super) fn bytes(bytes: u64) -> Self {
        Self::Bytes(bytes)
    }

    fn show(&self, unit: Option<u64>) -> String {
        match (self, unit) {
            (Self::Text(text), _) => text.clone(),
            (Self::Number(number), _) => number.to_string(),
            (Self::Bytes(bytes), Some(unit)) => (bytes / unit).to_string(),
            (Self::Bytes(bytes), None) => size(*bytes),
        }
    }

    fn compare(&self, other: &Self) -> std::cmp::Ordering {
        match (self, other) {
            (Self::Text(a), Self::Text(b)) => a.cmp(b),
            (Self::Number(a) | Self::Bytes(a), Self::Number(b) | Self::Bytes(b)) => a.cmp(b),
            (Self::Text(_), _) => std::cmp::Ordering::Less,
            (_, Self::Text(_)) => std::cmp::Ordering::Greater,
        }
    }
}

/// A size as Elasticsearch writes it: `227b`, `16.6kb`, `1.2mb`.
pub(super) fn size(bytes: u64) -> String {
    let units = [("pb", 50), ("tb", 40), ("gb", 30), ("mb", 20), ("kb", 10)];
    match units.into_iter().find(|(_, shift)| bytes >> shift > 0) {
        None => format!("{bytes}b"),
        Some((unit, shift)) => {
            // Cut off, not rounded.
            let tenths = (u128::from(bytes) * 10) >> shift;
            match (tenths / 10, tenths % 10) {
                (whole, 0) => format!("{whole}{unit}"),
                (whole, tenth) => format!("{whole}.{tenth}{unit}"),
            }
        }
    }
}

fn unit(call: &Call) -> Result<Option<u64>> {
    let shift = match call.params.text("bytes") {
        None => return Ok(None),
        Some("b") => 0,
        Some("k" | "kb") => 10,
        Some("m" | "mb") => 20,
        Some("g" | "gb") => 30,
        Some("t" | "tb") => 40,
        Some("p" | "pb") => 50,
        Some(other) => {
            return Err(ApiError::illegal(format!("Unknown byte unit [{other}] in the parameter [bytes]")));
        }
    };
    Ok(Some(1 << shift))
}

/// A table being made for one call.
pub(super) struct Grid {
    columns: &'static [Column],
    /// The columns shown, each with the name the caller used.
    chosen: Vec<(usize, String)>,
    sort: Vec<(usize, bool)>,
    rows: Vec<Vec<Cell>>,
    header: bool,
    help: bool,
    unit: Option<u64>,
    as_text: bool,
}

impl Grid {
    /// Reads how the caller wants it.
    pub(super) fn new(columns: &'static [Column], call: &Call) -> Result<Self> {
        Ok(Self {
            columns,
            chosen: choose(columns, call.params.text("h")),
            sort: sort_order(columns, call.params.text("s"))?,
            rows: Vec::new(),
            header: call.params.flag_or("v", false)?,
            help: call.params.flag_or("help", false)?,
            unit: unit(call)?,
            as_text: call.wish.wants_text(),
        })
    }

    /// Takes columns away.
    pub(super) fn leave_out(&mut self, names: &[&str]) {
        self.chosen.retain(|(at, _)| !names.contains(&self.columns[*at].name));
    }

    /// Adds a row with a cell for every column there can be.
    pub(super) fn push(&mut self, row: Vec<Cell>) {
        self.rows.push(row);
    }

    /// The answer.
    pub(super) fn reply(mut self) -> Result<Reply> {
        if self.help {
            return Ok(Reply::text(self.help_text()));
        }
        let sort = std::mem::take(&mut self.sort);
        self.rows.sort_by(|a, b| {
            let by = |(at, descending): &(usize, bool)| {
                let order =
                    a.get(*at).zip(b.get(*at)).map_or(std::cmp::Ordering::Equal, |(a, b)| a.compare(b));
                if *descending { order.reverse() } else { order }
            };
            sort.iter().map(by).find(|order| order.is_ne()).unwrap_or(std::cmp::Ordering::Equal)
        });
        if self.as_text { Ok(Reply::text(self.text())) } else { Ok(Reply::ok(self.value())) }
    }

    fn shown<'g>(&'g self, row: &'g [Cell]) -> impl Iterator<Item = (&'g str, String)> + 'g {
        self.chosen.iter().map(|(at, name)| {
            (name.as_str(), row.get(*at).map_or_else(String::new, |cell| cell.show(self.unit)))
        })
    }

    fn value(&self) -> Value {
        let row = |row: &Vec<Cell>| {
            let cells: Map<String, Value> =
                self.shown(row).map(|(name, text)| (name.to_owned(), json!(text))).collect();
            Value::Object(cells)
        };
        Value::Array(self.rows.iter().map(row).collect())
    }

    fn text(&self) -> String {
        let mut lines: Vec<Vec<String>> = Vec::with_capacity(self.rows.len() + 1);
        if self.header {
            lines.push(self.chosen.iter().map(|(_, name)| name.clone()).collect());
        }
        lines.extend(self.rows.iter().map(|row| self.shown(row).map(|(_, text)| text).collect()));
        let rights: Vec<bool> = self.chosen.iter().map(|(at, _)| self.columns[*at].right).collect();
        laid_out(&lines, &rights, " ", false)
    }

    fn help_text(&self) -> String {
        let line =
            |column: &Column| vec![column.name.to_owned(), column.aliases.join(","), column.about.to_owned()];
        let lines: Vec<Vec<String>> = self.columns.iter().map(line).collect();
        laid_out(&lines, &[false; 3], " | ", true)
    }
}

fn laid_out(lines: &[Vec<String>], rights: &[bool], between: &str, pad_last: bool) -> String {
    let width = |at: usize| {
        lines.iter().filter_map(|line| line.get(at)).map(|text| text.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..rights.len()).map(width).collect();
    let mut out = String::new();
    for line in lines {
        for (at, text) in line.iter().enumerate() {
            let fill = " ".repeat(widths[at] - text.chars().count());
            let last = at + 1 == line.len() && !pad_last;
            match (rights[at], last) {
                (true, _) => out.push_str(&(fill + text)),
                (false, true) => out.push_str(text),
                (false, false) => out.push_str(&(text.clone() + &fill)),
            }
            if at + 1 < line.len() {
                out.push_str(between);
            }
        }
        out.push('\n');
    }
    out
}

/// The columns of `h`, in its order; unknown names are left out, as Elasticsearch does.
fn choose(columns: &[Column], wanted: Option<&str>) -> Vec<(usize, String)> {
    let Some(wanted) = wanted else {
        let shown = columns.iter().enumerate().filter(|(_, column)| column.shown);
        return shown.map(|(at, column)| (at, column.name.to_owned())).collect();
    };
    let mut chosen: Vec<(usize, String)> = Vec::new();
    for name in wanted.split(',').filter(|name| !name.is_empty()) {
        if name.contains('*') {
            let matched = columns.iter().enumerate().filter(|(_, column)| {
                wildcard_matches(name, column.name)
                    || column.aliases.iter().any(|alias| wildcard_matches(name, alias))
            });
            for (at, column) in matched {
                if !chosen.iter().any(|(present, _)| *present == at) {
                    chosen.push((at, column.name.to_owned()));
                }
            }
        } else if let Some(at) = position(columns, name) {
            chosen.push((at, name.to_owned()));
        }
    }
    chosen
}

/// A column by its name, or else by another name of it.
fn position(columns: &[Column], name: &str) -> Option<usize> {
    columns
        .iter()
        .position(|column| column.name == name)
        .or_else(|| columns.iter().position(|column| column.is(name)))
}

fn sort_order(columns: &[Column], wanted: Option<&str>) -> Result<Vec<(usize, bool)>> {
    let mut order = Vec::new();
    for key in wanted.unwrap_or_default().split(',').filter(|key| !key.is_empty()) {
        let (name, direction) = key.rsplit_once(':').unwrap_or((key, "asc"));
        let at = position(columns, name);
        let at =
            at.ok_or_else(|| ApiError::illegal(format!("Unable to sort by unknown sort key `{name}`")))?;
        order.push((at, direction == "desc"));
    }
    Ok(order)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_written_as_elasticsearch_writes_them() {
        let table = [
            (0, "0b"),
            (227, "227b"),
            (1023, "1023b"),
            (1024, "1kb"),
            (17_000, "16.6kb"),
            (5_734, "5.5kb"),
            (1 << 20, "1mb"),
            ((1 << 30) + (1 << 29), "1.5gb"),
        ];
        for (bytes, wanted) in table {
            assert_eq!(size(bytes), wanted);
        }
    }

    #[test]
    fn the_last_column_is_not_filled_up_unless_it_holds_numbers() {
        let own = |line: &[&str]| line.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let lines = [own(&["a", "n", "name"]), own(&["long", "10", "b"])];
        assert_eq!(laid_out(&lines, &[false, true, false], " ", false), "a     n name\nlong 10 b\n");
        assert_eq!(laid_out(&lines, &[false, false, true], " ", false), "a    n  name\nlong 10    b\n");
    }
}
