//! Going on after an id, whatever its type: comparisons of MongoDB keep to one type, so what sorts later is named.

use bson::{Bson, Document, doc};

/// The types of ids in the order in which MongoDB sorts them, each with its names.
const ORDER: [&[&str]; 10] = [
    &["minKey"],
    &["null", "undefined"],
    &["double", "int", "long", "decimal"],
    &["string", "symbol"],
    &["object"],
    &["binData"],
    &["objectId"],
    &["bool"],
    &["date"],
    &["timestamp"],
];

/// Types that some servers of the same language do not know, and so cannot hold.
const RARE: [&str; 5] = ["minKey", "maxKey", "undefined", "symbol", "decimal"];

/// Which types of ids a server knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Types {
    /// All that there are.
    All,
    /// Those that are not rare.
    Common,
}

fn place(id: &Bson) -> usize {
    match id {
        Bson::MinKey => 0,
        Bson::Null | Bson::Undefined => 1,
        Bson::Double(_) | Bson::Int32(_) | Bson::Int64(_) | Bson::Decimal128(_) => 2,
        Bson::String(_) | Bson::Symbol(_) => 3,
        Bson::Document(_) => 4,
        Bson::Binary(_) => 5,
        Bson::ObjectId(_) => 6,
        Bson::Boolean(_) => 7,
        Bson::DateTime(_) => 8,
        Bson::Timestamp(_) => 9,
        _ => ORDER.len(),
    }
}

/// A filter for the ids that sort after this one.
pub(crate) fn after(id: &Bson, types: Types) -> Document {
    let place = place(id);
    let later = ORDER.iter().skip(place + 1).flat_map(|names| names.iter().copied());
    let later: Vec<&str> = later.filter(|name| types == Types::All || !RARE.contains(name)).collect();
    let mut either = Vec::new();
    match id {
        Bson::MinKey | Bson::Null | Bson::Undefined => {}
        // Not a number sorts before all numbers, and nothing is greater.
        Bson::Double(number) if number.is_nan() => either.push(doc! { "_id": { "$gte": f64::NEG_INFINITY } }),
        _ => either.push(doc! { "_id": { "$gt": id.clone() } }),
    }
    if !later.is_empty() {
        either.push(doc! { "_id": { "$type": later } });
    }
    if place < ORDER.len() && types == Types::All {
        either.push(doc! { "_id": { "$type": "maxKey" } });
    }
    if either.is_empty() {
        // Nothing sorts after the last type.
        return doc! { "_id": { "$in": [] } };
    }
    doc! { "$or": either }
}

/// Both filters together.
pub(crate) fn both(filter: &Document, after: Option<&Bson>, types: Types) -> Document {
    match after {
        None => filter.clone(),
        Some(id) if filter.is_empty() => self::after(id, types),
        Some(id) => doc! { "$and": [filter.clone(), self::after(id, types)] },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn later(filter: &Document) -> Vec<&str> {
        let types =
            |part: &Bson| part.as_document()?.get_document("_id").ok()?.get_array("$type").ok().cloned();
        let found = filter.get_array("$or").unwrap().iter().find_map(types).unwrap_or_default();
        let names: Vec<String> = found.iter().map(|name| name.as_str().unwrap().to_owned()).collect();
        ORDER.iter().flat_map(|n| n.iter().copied()).filter(|n| names.iter().any(|name| name == n)).collect()
    }

    #[test]
    fn what_sorts_after_an_id_is_greater_or_of_a_later_type() {
        let id = Bson::ObjectId(bson::oid::ObjectId::from_bytes([1; 12]));
        let filter = after(&id, Types::All);
        assert_eq!(later(&filter), ["bool", "date", "timestamp"]);
        assert_eq!(filter.get_array("$or").unwrap()[0], Bson::Document(doc! { "_id": { "$gt": id } }));
        assert!(later(&after(&Bson::Int32(1), Types::All)).starts_with(&["string", "symbol", "object"]));
        assert!(later(&after(&Bson::Null, Types::All)).starts_with(&["double"]));
        assert_eq!(
            after(&Bson::Null, Types::All).get_array("$or").unwrap().len(),
            2,
            "nothing is greater than null"
        );
    }

    #[test]
    fn a_server_without_the_rare_types_is_not_asked_for_them() {
        let text = |types| format!("{:?}", after(&Bson::Null, types));
        assert!(["decimal", "symbol", "maxKey"].iter().all(|name| text(Types::All).contains(name)));
        assert!(RARE.iter().all(|name| !text(Types::Common).contains(name)));
    }

    #[test]
    fn numbers_come_after_what_is_no_number() {
        let filter = after(&Bson::Double(f64::NAN), Types::All);
        let expected = doc! { "_id": { "$gte": f64::NEG_INFINITY } };
        assert_eq!(filter.get_array("$or").unwrap()[0], Bson::Document(expected));
    }

    #[test]
    fn a_rules_filter_stays() {
        let filter = doc! { "a": 1 };
        assert_eq!(both(&filter, None, Types::All), filter);
        let whole = both(&filter, Some(&Bson::Int32(1)), Types::All);
        assert_eq!(whole.get_array("$and").unwrap()[0], Bson::Document(filter));
    }
}
