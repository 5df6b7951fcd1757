//! Reads a script: requests as one would type them into a console, with notes in comments. See tests/differential.

use std::path::Path;

/// One request of a script, with its notes.
#[derive(Debug)]
pub(crate) struct Step {
    /// Where it stands.
    pub(crate) line: usize,
    pub(crate) method: String,
    /// Path and query.
    pub(crate) target: String,
    pub(crate) body: String,
    pub(crate) headers: Vec<(String, String)>,
    /// Who sends it; without one it is the user of the secured servers.
    pub(crate) sender: Option<Sender>,
    /// The one major version it is for.
    pub(crate) only: Option<char>,
    /// Parts of the answers that are not compared.
    pub(crate) ignored: Vec<String>,
    /// Lists whose order is not defined.
    pub(crate) unordered: Vec<String>,
    pub(crate) differences: Vec<Difference>,
    /// Name of a variable, and the member of the answer it takes its value from.
    pub(crate) kept: Vec<(String, String)>,
}

/// Who sends a request.
#[derive(Debug, Clone)]
pub(crate) enum Sender {
    /// Without credentials, or with those of a header that the step has.
    Nobody,
    /// Name and password.
    User(String, String),
    /// The encoded form of an API key.
    Key(String),
}

/// A difference that is meant.
#[derive(Debug, Clone)]
pub(crate) struct Difference {
    /// The row of `docs/compatibility.md` that tells it.
    pub(crate) id: String,
    /// The one major version that differs.
    pub(crate) only: Option<char>,
    pub(crate) form: Form,
}

/// What differs.
#[derive(Debug, Clone)]
pub(crate) enum Form {
    /// These parts of the answers.
    Parts(Vec<String>),
    /// The node refuses, with this status and type of error; `-` for an error that is a text.
    Refused(u64, String),
    /// The node serves what Elasticsearch refuses.
    Served(u64),
}

/// The requests of a script.
pub(crate) fn read(path: &Path) -> Result<Vec<Step>, String> {
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    let mut steps = Vec::new();
    let mut notes = Vec::new();
    let mut lines = text.lines().enumerate().peekable();
    while let Some((at, line)) = lines.next() {
        let line = line.trim();
        if let Some(note) = line.strip_prefix("#!") {
            notes.push((at + 1, note.trim().to_owned()));
        } else if !line.is_empty() && !line.starts_with('#') {
            let mut body = Vec::new();
            while let Some((_, more)) = lines.next_if(|(_, more)| !more.trim().is_empty()) {
                body.push(more);
            }
            steps.push(step(at + 1, line, &body, &std::mem::take(&mut notes))?);
        }
    }
    Ok(steps)
}

fn step(at: usize, line: &str, body: &[&str], notes: &[(usize, String)]) -> Result<Step, String> {
    let (method, target) =
        line.split_once(' ').ok_or_else(|| format!("line {at}: no METHOD /path: {line}"))?;
    let mut text = repeated(&body.join("\n"))?;
    let lines_wanted = ["_bulk", "_msearch"].iter().any(|name| target.contains(name));
    if lines_wanted && !text.is_empty() {
        text.push('\n');
    }
    let mut step = Step {
        line: at,
        method: method.to_owned(),
        target: repeated(target)?,
        body: text,
        headers: Vec::new(),
        sender: None,
        only: None,
        ignored: Vec::new(),
        unordered: Vec::new(),
        differences: Vec::new(),
        kept: Vec::new(),
    };
    for (at, note) in notes {
        take_note(&mut step, note).ok_or_else(|| format!("line {at}: not understood: {note}"))?;
    }
    Ok(step)
}

/// Reads one note.
fn take_note(step: &mut Step, note: &str) -> Option<()> {
    let (word, rest) = note.split_once(' ')?;
    match word {
        "only" => step.only = Some(rest.chars().next()?),
        "ignore" => step.ignored.extend(paths(reasoned(rest)?)),
        "unordered" => step.unordered.extend(paths(rest)),
        "header" => {
            let (name, value) = rest.split_once(':')?;
            step.headers.push((name.trim().to_owned(), value.trim().to_owned()));
        }
        "as" => step.sender = Some(sender(rest.trim())),
        "keep" => {
            let (name, path) = rest.split_once('=')?;
            step.kept.push((format!("${}", name.trim()), path.trim().to_owned()));
        }
        "differs" => step.differences.push(difference(rest)?),
        _ => return None,
    }
    Some(())
}

/// `nobody`, `NAME:PASSWORD` or an encoded API key.
fn sender(text: &str) -> Sender {
    match text.split_once(':') {
        Some((name, password)) => Sender::User(name.to_owned(), password.to_owned()),
        None if text == "nobody" => Sender::Nobody,
        None => Sender::Key(text.to_owned()),
    }
}

/// Nothing is left out without a reason behind a dash.
fn reasoned(text: &str) -> Option<&str> {
    text.split_once(" - ").map(|(paths, _)| paths)
}

fn paths(text: &str) -> Vec<String> {
    text.split(',').map(|path| path.trim().to_owned()).collect()
}

/// `ID [on 8|9] in PATH, PATH`, `ID [on 8|9] refused STATUS TYPE` or `ID [on 8|9] served STATUS`.
fn difference(text: &str) -> Option<Difference> {
    let (id, mut rest) = text.split_once(' ')?;
    let mut only = None;
    if let Some(more) = rest.strip_prefix("on ") {
        only = more.chars().next();
        rest = more.get(2..)?;
    }
    let (word, rest) = rest.split_once(' ')?;
    let form = match word {
        "in" => Form::Parts(paths(rest)),
        "served" => Form::Served(rest.trim().parse().ok()?),
        "refused" => {
            let (status, kind) = rest.split_once(' ')?;
            Form::Refused(status.parse().ok()?, kind.trim().to_owned())
        }
        _ => return None,
    };
    Some(Difference { id: id.to_owned(), only, form })
}

/// Writes out `<<TEXT*COUNT>>`.
fn repeated(text: &str) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("<<") {
        let (inner, behind) = after.split_once(">>").ok_or("<< without >>")?;
        let (unit, count) = inner.rsplit_once('*').ok_or("<<TEXT*COUNT>> is wanted")?;
        out.push_str(before);
        out.push_str(&unit.repeat(count.parse().map_err(|_| format!("no count: {count}"))?));
        rest = behind;
    }
    out.push_str(rest);
    Ok(out)
}
