//! What is accepted and what is refused, and in which words: connector-api 9.2.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use tributary_schedule::{CronError, Field, Schedule};

const BOTH_DAYS: &str =
    "support for specifying both a day-of-week AND a day-of-month parameter is not implemented.";
const CLOCK: &str = "Minute and Second values must be between 0 and 59";
const HOURS: &str = "Hour values must be between 0 and 23";
const DAYS: &str = "Day of month values must be between 1 and 31";
const MONTHS: &str = "Month values must be between 1 and 12";
const WEEKDAYS: &str = "Day-of-Week values must be between 1 and 7";
const NTH: &str = "a numeric value between 1 and 5 must follow the '#' option at pos [2]";

fn refusal(expression: &str) -> CronError {
    match Schedule::parse(expression) {
        Ok(accepted) => panic!("{expression:?} was accepted as {accepted}"),
        Err(error) => error,
    }
}

#[test]
fn the_whole_grammar_is_accepted() {
    for expression in [
        "0 0 0 * * ?",
        "0 0/30 8-10 ? * MON-FRI",
        "0 15 10 L-2W * ?",
        "0 0 12 ? * 6#3 2030-2040",
        "0 0 0 ? * 6L",
        "0/1 * * * * ?",
        "1 * * * * ?",
        "*/59 */59 */23 */31 */12 ?",
        "/5 /5 /2 /2 /2 ?",
        "0 0 0 ? * */7",
        "59 59 23 31 12 ?",
        "0 0 0 ? * 7",
        "0,1,2 0-10,30 1-5/2,6/4 1,15W,20-25 JAN,MAR-MAY ?",
        "50-10 50-10 22-2 28-3 NOV-FEB ?",
        "0 0 0 ? * FRI-MON",
        "0 0 0 ? * 6-2",
        "0 0 0 L * ?",
        "0 0 0 L-30 * ?",
        "0 0 0 LW * ?",
        "0 0 0 ? * L",
        "0 0 0 ? * FRIL",
        "0 0 0 ? * FRI#5",
        "0 0 0 ? * 2#1,WED",
        "0 0 0 31W * ?",
        "0 0 0 1 1 ? 1969,2024/4,*/7",
        "0 0 0 1 1 ? *",
        "\t 0  0\t0 1   1 ? ",
    ] {
        assert!(Schedule::parse(expression).is_ok(), "{expression:?}: {:?}", Schedule::parse(expression));
    }
}

#[test]
fn leniencies_of_the_server_are_kept() {
    for (lenient, strict) in [
        ("5X 0 0 * * ?", "5 0 0 * * ?"),
        ("0 0 0 ? * MON/2", "0 0 0 ? * MON"),
        ("0 0 0 ? * MON-FRI/2", "0 0 0 ? * MON-FRI"),
        ("0 0 0 1 JANUARY ?", "0 0 0 1 JAN ?"),
        ("0 0 0 1 JAN#2 ?", "0 0 0 1 JAN ?"),
        ("*X 0 0 * * ?", "* 0 0 * * ?"),
        ("0 0 0 *W * ?", "0 0 0 * * ?"),
        (",5,,7, 0 0 * * ?", "5,7 0 0 * * ?"),
        ("*/0 0 0 * * ?", "* 0 0 * * ?"),
        ("3/0 0 0 * * ?", "3 0 0 * * ?"),
        ("3-9/0 0 0 * * ?", "3 0 0 * * ?"),
        ("0-50/10X 0 0 * * ?", "0-50/10 0 0 * * ?"),
        ("0 0 0 15WX * ?", "0 0 0 15W * ?"),
        ("0 0 0 1 1 ?X", "0 0 0 1 1 ?"),
        ("0 0 0 1 1 ?,MON", "0 0 0 1 1 ?"),
        ("0 0 0 ? * LW", "0 0 0 ? * SAT"),
        ("0 0 0 ? * L-3", "0 0 0 ? * SAT"),
        ("0/500 0 0 * * ?", "0 0 0 * * ?"),
        ("0 0 0 1 1 ? 2030 anything at all", "0 0 0 1 1 ? 2030"),
    ] {
        let start = chrono::DateTime::UNIX_EPOCH;
        let fire = |expression: &str| {
            let schedule = Schedule::parse(expression).unwrap_or_else(|e| panic!("{expression:?}: {e}"));
            std::iter::successors(schedule.next_after(start), |at| schedule.next_after(*at))
                .take(40)
                .collect::<Vec<_>>()
        };
        assert_eq!(fire(lenient), fire(strict), "{lenient:?} means {strict:?}");
    }
}

#[test]
fn refusals_have_the_words_of_the_server() {
    for (expression, detail) in [
        ("", "unexpected end of expression at pos [0]."),
        ("0 0 * * 1", "unexpected end of expression at pos [9]."),
        // Fields are read in order: the fifth of five is the month, where `?` is what goes wrong first.
        ("0 0 * * ?", "'?' can only be specified for Day-of-Month or Day-of-Week. at pos [1]"),
        ("0 0 0 * * *", BOTH_DAYS),
        ("0 0 0 1 * MON", BOTH_DAYS),
        ("0 0 0 L * 6L", BOTH_DAYS),
        ("0 0 0 ? * ?", "'?' can only be specified for Day-of-Month -OR- Day-of-Week. at pos [1]"),
        ("0 0 0 ? * ? 2040-2030", "'?' can only be specified for Day-of-Month -OR- Day-of-Week. at pos [1]"),
        ("61 0 0 * * ?", CLOCK),
        ("0 60 0 * * ?", CLOCK),
        ("0-60 0 0 * * ?", CLOCK),
        ("99999999999999999999 0 0 * * ?", CLOCK),
        ("0 0 24 * * ?", HOURS),
        ("0 0 22-24 * * ?", HOURS),
        ("0 0 0 0 * ?", DAYS),
        ("0 0 0 32 * ?", DAYS),
        ("0 0 0 0W * ?", DAYS),
        (
            "0 0 0 32W * ?",
            "the 'W' option does not make sense with values larger than 31 (max number of days in a month) at pos [2]",
        ),
        ("0 0 0 1 0 ?", MONTHS),
        ("0 0 0 1 13 ?", MONTHS),
        ("0 0 0 ? * 0", WEEKDAYS),
        ("0 0 0 ? * 8", WEEKDAYS),
        ("0 0 0 ? * 8L", WEEKDAYS),
        ("0 0 0 ? * 0#1", WEEKDAYS),
        ("0 */60 * * * ?", "increment [60] > 60 at pos [4]"),
        ("0 0 */24 * * ?", "increment [24] > 24 at pos [4]"),
        ("0 0 0 */32 * ?", "increment [32] > 31 at pos [4] "),
        ("0 0 0 1 /13 ?", "increment [13] > 12 at pos [3]"),
        ("0 0 0 ? * */8", "increment [8] > 7 at pos [3] "),
        ("/ 0 0 * * ?", "'/' must be followed by an integer. at pos [0]"),
        ("0 */ 0 * * ?", "Unexpected end of string. at pos [2]"),
        ("0 */x 0 * * ?", "'/' must be followed by an integer. at pos [1]"),
        ("0 0 0 1 1 ? 2040-2030", "Start year must be less than stop year"),
        ("0 0 0 L-31 * ?", "offset from last day must be <= 30 at pos [2]"),
        ("0 0 0 ? * 6#6", NTH),
        ("0 0 0 ? * 6#0", NTH),
        ("0 0 0 ? * 6#", NTH),
        ("0 0 0 ? * FRI#9", "a numeric value between 1 and 5 must follow the '#' option at pos [4]"),
        ("? 0 0 * * ?", "'?' can only be specified for Day-of-Month or Day-of-Week. at pos [1]"),
        ("0 0 0 ?XX * MON", "illegal character [X] after '?' at pos [1]"),
        ("L 0 0 * * ?", "'L' option is not valid here. at pos [0]"),
        ("5L 0 0 * * ?", "'L' option is not valid here. at pos [1]"),
        ("0 0 0 5L * ?", "'L' option is not valid here. at pos [1]"),
        ("0 0 15W * * ?", "'W' option is not valid here. at pos [2]"),
        ("0 0 0 ? * 3W", "'W' option is not valid here. at pos [1]"),
        ("0 0 0 3#1 * ?", "'#' option is not valid here. at pos [1]"),
        ("0 0 0 1 FOO ?", "invalid Month value [FOO] at pos [0]"),
        ("0 0 0 1 J ?", "invalid Month value [J] at pos [0]"),
        ("0 0 0 1 JAN-FOO ?", "invalid Month value [FOO] at pos [4]"),
        ("0 0 0 ? * MOX", "invalid Day-of-Week value [MOX] at pos [0]"),
        ("0 0 0 ? * MON-", "invalid Day-of-Week value [] at pos [4]"),
        ("ABC 0 0 * * ?", "illegal characters [ABC] at pos [0] '"),
        ("0 0 0 W * ?", "illegal characters [W] at pos [0] '"),
        ("# 0 0 * * ?", "Unexpected character [#] at pos [0] "),
        ("-5 0 0 * * ?", "Unexpected character [-] at pos [0] "),
        ("5- 0 0 * * ?", "Unexpected end of string. at pos [2]"),
        ("5-X 0 0 * * ?", "Unexpected character [X] at pos [2] "),
        ("5/ 0 0 * * ?", "Unexpected end of string. at pos [2]"),
        ("5/2X 0 0 * * ?", "Unexpected character [X] after '/' at pos [3]"),
        (", 0 0 * * ?", "Unexpected end of string. at pos [0]"),
        (
            "0 0 0 L,5 * ?",
            "support for specifying 'L' and 'LW' with other days of the month is not implemented",
        ),
        ("0 0 0 ? * 6L,2", "support for specifying 'L' with other days of the week is not implemented"),
        ("0 0 0 ? * 6#1,2#1", "support for specifying multiple \"nth\" days is not implemented."),
    ] {
        assert_eq!(refusal(expression).to_string(), detail, "{expression:?}");
    }
}

#[test]
fn a_refusal_says_which_field_and_where() {
    let error = refusal("0 0 0 1 JAN-FOO ?");
    assert_eq!((error.field_at_fault(), error.position()), (Some(Field::Month), Some(4)));
    let error = refusal("0 0 24 * * ?");
    assert_eq!((error.field_at_fault(), error.position()), (Some(Field::Hour), None));
    let error = refusal("0 0");
    assert_eq!((error.field_at_fault(), error.position()), (None, Some(3)));
    assert_eq!(refusal("0 0 0 * * *").field_at_fault(), None);
}

#[test]
fn a_schedule_shows_its_source_upper_cased_with_its_spacing() {
    let schedule = Schedule::parse("0 0/30  8-10 ? * mon-fri").unwrap();
    assert_eq!(schedule.to_string(), "0 0/30  8-10 ? * MON-FRI");
    assert_eq!(schedule.as_str(), "0 0/30  8-10 ? * MON-FRI");
    assert_eq!(schedule, "0 0/30  8-10 ? * Mon-Fri".parse().unwrap());
}
