//! The list of connectors.

use crate::given::{self, Gather, Given};
use crate::keys::{self, Key};
use crate::kind;
use crate::load::PLACEHOLDER;
use crate::problem::Place;
use crate::secret::Secret;
use crate::settings::ConnectorEntry;
use crate::values::{describe, read_secret};
use crate::yaml::{Entry, Yaml};

const PATH: &str = "connectors";

/// Whether the list is given, readable or not.
pub(crate) fn is_given(gather: &Gather<'_>) -> bool {
    strongest(gather).is_some_and(|given| !matches!(&given.value, Yaml::List(items) if items.is_empty()))
}

fn strongest(gather: &Gather<'_>) -> Option<Given> {
    gather.given.get(PATH)?.last().filter(|given| given.value != Yaml::Null).cloned()
}

/// Reads the strongest layer's list. Of equal ids the later counts (sync-runtime 1.6).
pub(crate) fn read(gather: &mut Gather<'_>) -> Vec<ConnectorEntry> {
    let Some(given) = strongest(gather) else { return Vec::new() };
    let accepted = kind::Kind::Connectors.accepts();
    let Yaml::List(items) = &given.value else {
        let found = format!("is {}", describe(&given.value, false));
        gather.problem(given.place, PATH, found, accepted);
        return Vec::new();
    };
    let mut connectors: Vec<ConnectorEntry> = Vec::new();
    for (n, item) in items.iter().enumerate() {
        let path = format!("{PATH}[{n}]");
        let Yaml::Map(fields) = item else {
            let found = format!("is {}", describe(item, false));
            gather.problem(
                given.place.clone(),
                &path,
                found,
                "expected {connector_id, service_type, api_key}".into(),
            );
            continue;
        };
        let Some(connector) = connector(gather, &path, fields, &given.place) else { continue };
        if let Some(earlier) =
            connectors.iter().position(|other| other.connector_id == connector.connector_id)
        {
            let id = &connector.connector_id;
            gather
                .warnings
                .push(format!("{}: connectors lists {id:?} twice; the later entry counts", given.place));
            connectors.remove(earlier);
        }
        connectors.push(connector);
    }
    connectors
}

fn connector(gather: &mut Gather<'_>, path: &str, fields: &[Entry], list: &Place) -> Option<ConnectorEntry> {
    let has = |name: &str| fields.iter().find(|field| field.key == name && field.value != Yaml::Null);
    let twice = has("api_key").and(has("api_key_file"));
    if let Some(file) = twice {
        let at = given::at_line(list, file.line);
        let message = "is given beside api_key".to_owned();
        gather.problem(at, &format!("{path}.api_key_file"), message, "give one of the two".into());
    }
    let (mut connector_id, mut service_type, mut api_key) = (None, None, None);
    for field in fields {
        let at = given::at_line(list, field.line);
        let whole = format!("{path}.{}", field.key);
        match field.key.as_str() {
            "connector_id" => connector_id = name(gather, &whole, field, &at),
            "service_type" => service_type = name(gather, &whole, field, &at),
            "api_key" => api_key = text(gather, &whole, field, &at).or(api_key),
            "api_key_file" if twice.is_some() => {}
            "api_key_file" => api_key = read_secret(gather, &whole, &field.value, &at).or(api_key),
            unknown => {
                let known = keys::connector_keys().iter().map(|key: &Key| key.path).chain(["api_key_file"]);
                let accepted = format!("nearest known key: {}", given::nearest_of(unknown, known));
                gather.problem(at, &whole, "is not a known key".into(), accepted);
            }
        }
    }
    if connector_id.is_none() && has("connector_id").is_none() {
        let at = given::at_line(list, fields.first().map_or(0, |field| field.line));
        let message = "has no connector_id".to_owned();
        gather.problem(at, path, message, "expected the connector's id".into());
    }
    Some(ConnectorEntry { connector_id: connector_id?, service_type, api_key: api_key.map(Secret::new) })
}

/// An id or a type: any scalar, as it is written, but not the placeholder.
fn name(gather: &mut Gather<'_>, path: &str, field: &Entry, place: &Place) -> Option<String> {
    let name = text(gather, path, field, place)?.trim().to_owned();
    if name == PLACEHOLDER {
        refuse_placeholder(gather, place.clone(), path);
        return None;
    }
    if name.is_empty() {
        gather.problem(place.clone(), path, "is empty".into(), "expected a text".into());
        return None;
    }
    Some(name)
}

/// `changeme` is what example files hold.
pub(crate) fn refuse_placeholder(gather: &mut Gather<'_>, place: Place, path: &str) {
    let accepted = if path.ends_with("connector_id") { "the connector's id" } else { "the source's type" };
    gather.problem(place, path, format!("is still {PLACEHOLDER:?}"), format!("put {accepted} there"));
}

fn text(gather: &mut Gather<'_>, path: &str, field: &Entry, place: &Place) -> Option<String> {
    match &field.value {
        Yaml::Null => None,
        Yaml::Scalar(text) => Some(text.clone()).filter(|text| !text.is_empty()),
        other => {
            let secret = path.ends_with("api_key");
            let found = format!("is {}", describe(other, secret));
            gather.problem(place.clone(), path, found, "expected a text".into());
            None
        }
    }
}
