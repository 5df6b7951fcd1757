//! All sources built into the binary, each behind a feature of its folder's name. Written by `cargo xtask generate`.

use tributary_sdk::Registry;

/// Every source this program has.
#[must_use]
pub fn registry() -> Registry {
    let registry = Registry::new();
    #[cfg(feature = "directory")]
    let registry = registry.with::<tributary_connector_directory::Directory>();
    #[cfg(feature = "mongodb")]
    let registry = registry.with::<tributary_connector_mongodb::Mongodb>();
    #[cfg(feature = "mysql")]
    let registry = registry.with::<tributary_connector_mysql::Mysql>();
    #[cfg(feature = "postgresql")]
    let registry = registry.with::<tributary_connector_postgresql::Postgresql>();
    #[cfg(feature = "redis")]
    let registry = registry.with::<tributary_connector_redis::Redis>();
    registry
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
