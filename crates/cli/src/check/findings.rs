//! What a check found.

use std::fmt::Display;

use serde_json::{Value, json};

use crate::error::{Result, one_line};
use crate::output;

#[derive(Debug)]
enum Verdict {
    Good,
    Warning,
    Problem { mend: String },
}

#[derive(Debug)]
struct Finding {
    what: String,
    message: String,
    verdict: Verdict,
}

/// All findings, in the order they were made.
#[derive(Debug, Default)]
pub(super) struct Findings(Vec<Finding>);

impl Findings {
    /// Something is as it should be.
    pub(super) fn good(&mut self, what: impl Display, message: impl Display) {
        self.add(what, message, Verdict::Good);
    }

    /// Something works but should be known.
    pub(super) fn warning(&mut self, what: impl Display, message: impl Display) {
        self.add(what, message, Verdict::Warning);
    }

    /// Something does not work; `mend` says what to do, unless the message does.
    pub(super) fn problem(&mut self, what: impl Display, message: impl Display, mend: &str) {
        self.add(what, message, Verdict::Problem { mend: one_line(mend) });
    }

    fn add(&mut self, what: impl Display, message: impl Display, verdict: Verdict) {
        self.0.push(Finding { what: what.to_string(), message: one_line(&message.to_string()), verdict });
    }

    /// How many problems there are.
    pub(super) fn problems(&self) -> usize {
        self.0.iter().filter(|finding| matches!(finding.verdict, Verdict::Problem { .. })).count()
    }

    /// For programs.
    pub(super) fn document(&self) -> Value {
        let findings = self.0.iter().map(|finding| {
            let (verdict, mend) = match &finding.verdict {
                Verdict::Good => ("ok", None),
                Verdict::Warning => ("warning", None),
                Verdict::Problem { mend } => ("problem", Some(mend).filter(|mend| !mend.is_empty())),
            };
            json!({"what": finding.what, "verdict": verdict, "message": finding.message, "mend": mend})
        });
        json!({"ok": self.problems() == 0, "findings": findings.collect::<Vec<_>>()})
    }

    /// For people.
    pub(super) fn print(&self) -> Result<()> {
        for Finding { what, message, verdict } in &self.0 {
            output::line(match verdict {
                Verdict::Good => format!("ok       {what}: {message}"),
                Verdict::Warning => format!("warning  {what}: {message}"),
                Verdict::Problem { mend } if mend.is_empty() => format!("problem  {what}: {message}"),
                Verdict::Problem { mend } => format!("problem  {what}: {message} ({mend})"),
            })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_problems_count_and_each_has_its_mend() {
        let mut findings = Findings::default();
        findings.good("a", "works");
        findings.warning("b", "is old");
        findings.problem("c", "is\nmissing", "make it");
        assert_eq!(findings.problems(), 1);
        let document = findings.document();
        assert_eq!(document["ok"], false);
        assert_eq!(document["findings"][2]["message"], "is missing");
        assert_eq!(document["findings"][2]["mend"], "make it");
    }
}
