use std::fmt;

use crate::{AccessControl, AdvancedRules, DataSource, Incremental, Resumable};

type Look<S, T> = for<'a> fn(&'a S) -> &'a T;

/// What a source can do beyond a full listing. An ability is an impl, not a flag: each method here needs the trait.
///
/// ```
/// # use tributary_sdk::{DataSource, Facets, Resumable};
/// fn facets<S: DataSource + Resumable>() -> Facets<S> {
///     Facets::NONE.resumable()
/// }
/// ```
pub struct Facets<S: 'static> {
    pub(crate) incremental: Option<Look<S, dyn Incremental>>,
    pub(crate) access_control: Option<Look<S, dyn AccessControl>>,
    pub(crate) advanced_rules: Option<Look<S, dyn AdvancedRules>>,
    pub(crate) resumable: bool,
    pub(crate) basic_rules: bool,
}

impl<S> Clone for Facets<S> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S> Copy for Facets<S> {}

impl<S> fmt::Debug for Facets<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Facets")
            .field("incremental", &self.incremental.is_some())
            .field("access_control", &self.access_control.is_some())
            .field("advanced_rules", &self.advanced_rules.is_some())
            .field("resumable", &self.resumable)
            .field("basic_rules", &self.basic_rules)
            .finish()
    }
}

impl<S: DataSource> Facets<S> {
    /// A full listing with basic sync rules, which the engine applies to every source.
    pub const NONE: Self = Self {
        incremental: None,
        access_control: None,
        advanced_rules: None,
        resumable: false,
        basic_rules: true,
    };
}

impl<S: Incremental> Facets<S> {
    /// Adds incremental syncs.
    #[must_use]
    pub const fn incremental(mut self) -> Self {
        self.incremental = Some(|source| source);
        self
    }
}

impl<S: AccessControl> Facets<S> {
    /// Adds access-control syncs.
    #[must_use]
    pub const fn access_control(mut self) -> Self {
        self.access_control = Some(|source| source);
        self
    }
}

impl<S: AdvancedRules> Facets<S> {
    /// Adds advanced sync rules.
    #[must_use]
    pub const fn advanced_rules(mut self) -> Self {
        self.advanced_rules = Some(|source| source);
        self
    }
}

impl<S: Resumable> Facets<S> {
    /// Says that a full listing goes on from a checkpoint.
    #[must_use]
    pub const fn resumable(mut self) -> Self {
        self.resumable = true;
        self
    }
}
