use serde::{Deserialize, Serialize};
use tributary_sdk::Cursor;

use crate::keys::Target;

/// Where a listing has come to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Position {
    /// Stands for everything that decides which keys are listed in which order.
    pub(crate) of: String,
    /// The run of the server: another one gives keys in another order.
    pub(crate) run: String,
    /// Which of the targets.
    pub(crate) target: usize,
    /// Its database.
    pub(crate) database: u32,
    /// Where its scan goes on.
    pub(crate) scan: String,
}

impl Position {
    /// A position that says something about this listing of this run of the server.
    pub(crate) fn read(cursor: Option<&Cursor>, of: &str, run: Option<&str>) -> Option<Self> {
        let position: Self = serde_json::from_value(cursor?.0.clone()).ok()?;
        (position.of == of && Some(position.run.as_str()) == run).then_some(position)
    }

    /// The target to go on with, and where its scan goes on. With `by_database` targets are databases in the order of
    /// their numbers, which may have come and gone meanwhile.
    pub(crate) fn place(&self, targets: &[Target], by_database: bool) -> (usize, String) {
        let at =
            if by_database { targets.partition_point(|t| t.database < self.database) } else { self.target };
        let is_same = targets.get(at).is_some_and(|target| target.database == self.database);
        (at, if is_same { self.scan.clone() } else { start() })
    }

    pub(crate) fn cursor(&self) -> Option<Cursor> {
        serde_json::to_value(self).ok().map(Cursor)
    }
}

/// Where every scan starts, and says that it ended.
pub(crate) fn start() -> String {
    "0".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn position() -> Position {
        let text = |text: &str| text.to_owned();
        Position { of: text("x"), run: text("r"), target: 1, database: 3, scan: text("17") }
    }

    fn databases(numbers: &[u32]) -> Vec<Target> {
        numbers.iter().map(|number| Target::all(*number, json!(number))).collect()
    }

    #[test]
    fn a_position_of_another_listing_or_another_run_is_left_aside() {
        let cursor = position().cursor();
        assert_eq!(Position::read(cursor.as_ref(), "x", Some("r")), Some(position()));
        assert_eq!(Position::read(cursor.as_ref(), "y", Some("r")), None);
        assert_eq!(Position::read(cursor.as_ref(), "x", Some("s")), None);
        assert_eq!(Position::read(cursor.as_ref(), "x", None), None);
        assert_eq!(Position::read(Some(&Cursor(json!(5))), "x", Some("r")), None);
    }

    #[test]
    fn a_listing_goes_on_in_its_database_whatever_came_and_went() {
        assert_eq!(position().place(&databases(&[0, 3, 5]), true), (1, "17".to_owned()));
        assert_eq!(position().place(&databases(&[0, 1, 2, 3]), true), (3, "17".to_owned()));
        assert_eq!(position().place(&databases(&[0, 5]), true), (1, "0".to_owned()));
        assert_eq!(position().place(&databases(&[0, 3]), false), (1, "17".to_owned()));
        assert_eq!(position().place(&databases(&[0]), true), (1, "0".to_owned()));
    }
}
