//! What was measured, as a table for people or as JSON.

use std::fmt::Write as _;

use serde_json::{Value, json};

/// Which way is better.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Better {
    Less,
    More,
}

/// What the node is meant to reach.
pub(super) enum Goal {
    /// A value of its own.
    Value(f64),
    /// So many times what Elasticsearch does.
    Times(f64),
}

/// One line.
pub(super) struct Row {
    pub(super) what: String,
    pub(super) unit: &'static str,
    pub(super) better: Better,
    pub(super) node: Option<f64>,
    pub(super) elasticsearch: Option<f64>,
    pub(super) goal: Option<Goal>,
}

impl Row {
    pub(super) fn new(what: impl Into<String>, unit: &'static str, better: Better) -> Self {
        Self { what: what.into(), unit, better, node: None, elasticsearch: None, goal: None }
    }

    /// How many times better the node is; below 1 it is worse.
    fn ratio(&self) -> Option<f64> {
        let (node, other) = (self.node?, self.elasticsearch?);
        let ratio = if self.better == Better::More { node / other } else { other / node };
        ratio.is_finite().then_some(ratio)
    }

    fn reached(&self) -> Option<bool> {
        Some(match (self.goal.as_ref()?, self.better) {
            (Goal::Value(goal), Better::Less) => self.node? <= *goal,
            (Goal::Value(goal), Better::More) => self.node? >= *goal,
            (Goal::Times(goal), _) => self.ratio()? >= *goal,
        })
    }
}

fn number(value: Option<f64>) -> String {
    match value {
        None => "-".to_owned(),
        Some(value) if value >= 1000.0 => format!("{value:.0}"),
        Some(value) if value >= 10.0 => format!("{value:.1}"),
        Some(value) => format!("{value:.2}"),
    }
}

/// The table, with the name of the server beside the node.
pub(super) fn text(rows: &[Row], other: &str) -> String {
    let mut table = format!("{:<36} {:>10} {:>18} {:>10}  goal\n", "", "node", other, "times");
    for row in rows {
        let goal = match &row.goal {
            None => String::new(),
            Some(Goal::Value(goal)) => format!("{goal:.1} {}", row.unit),
            Some(Goal::Times(goal)) => format!("{goal} times"),
        };
        let verdict = match row.reached() {
            None => "",
            Some(true) => ": reached",
            Some(false) => ": MISSED",
        };
        let what = format!("{} ({})", row.what, row.unit);
        let (node, other, ratio) = (number(row.node), number(row.elasticsearch), number(row.ratio()));
        // Writing to memory does not fail.
        let _written = writeln!(table, "{what:<36} {node:>10} {other:>18} {ratio:>10}  {goal}{verdict}");
    }
    table
}

/// The same in Markdown.
pub(super) fn markdown(rows: &[Row], other: &str) -> String {
    let mut table = format!("| | Node | {other} | Times better | Goal |\n|---|---|---|---|---|\n");
    for row in rows {
        let goal = match (&row.goal, row.reached()) {
            (None, _) => String::new(),
            (Some(goal), reached) => {
                let goal = match goal {
                    Goal::Value(value) => format!("{value:.1} {}", row.unit),
                    Goal::Times(times) => format!("{times} times"),
                };
                let verdict = reached.map_or("", |reached| if reached { ", reached" } else { ", missed" });
                format!("{goal}{verdict}")
            }
        };
        let (node, other, ratio) = (number(row.node), number(row.elasticsearch), number(row.ratio()));
        // Writing to memory does not fail.
        let _written = writeln!(
            table,
            "| {} | {node} {unit} | {other} {unit} | {ratio} | {goal} |",
            row.what,
            unit = row.unit
        );
    }
    table
}

/// The same for programs.
pub(super) fn json(rows: &[Row], other: &str, about: &Value) -> Value {
    let rows: Vec<Value> = rows
        .iter()
        .map(|row| {
            let goal = match &row.goal {
                None => Value::Null,
                Some(Goal::Value(value)) => json!({"value": value}),
                Some(Goal::Times(times)) => json!({"times": times}),
            };
            json!({
                "what": row.what,
                "unit": row.unit,
                "better": if row.better == Better::More { "more" } else { "less" },
                "node": row.node,
                "elasticsearch": row.elasticsearch,
                "times_better": row.ratio(),
                "goal": goal,
                "reached": row.reached(),
            })
        })
        .collect();
    json!({"about": about, "beside": other, "rows": rows})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_above_one_is_always_better() {
        let mut fast =
            Row { node: Some(30.0), elasticsearch: Some(10.0), ..Row::new("a", "docs/s", Better::More) };
        assert_eq!(fast.ratio(), Some(3.0));
        fast.goal = Some(Goal::Times(2.0));
        assert_eq!(fast.reached(), Some(true));
        let slow = Row { node: Some(20.0), elasticsearch: Some(10.0), ..Row::new("b", "ms", Better::Less) };
        assert_eq!(slow.ratio(), Some(0.5));
        let table = text(&[fast, slow], "other");
        assert!(table.contains("2 times: reached") && table.contains("0.50"), "{table}");
    }

    #[test]
    fn a_goal_of_its_own_needs_no_other_server() {
        let row =
            Row { node: Some(31.0), goal: Some(Goal::Value(30.0)), ..Row::new("idle", "MiB", Better::Less) };
        assert_eq!((row.ratio(), row.reached()), (None, Some(false)));
        assert_eq!(json(&[row], "nobody", &Value::Null)["rows"][0]["reached"], false);
    }
}
