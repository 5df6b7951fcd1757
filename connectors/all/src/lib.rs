//! All sources built into the binary.

use tributary_sdk::Registry;

/// Every source this program has.
#[must_use]
pub fn registry() -> Registry {
    Registry::new().with::<tributary_connector_directory::Directory>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_source_declares_fields_with_labels() {
        for kind in registry().iter() {
            let schema = kind.schema();
            assert!(!schema.is_empty(), "{}", kind.service_type());
            assert!(schema.iter().all(|(_, field)| !field.label.is_empty()), "{}", kind.service_type());
        }
    }
}
