//! Field types and their parameters.

/// A field's type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum FieldType {
    Text,
    MatchOnlyText,
    SearchAsYouType,
    Keyword,
    ConstantKeyword,
    Wildcard,
    Version,
    Long,
    Integer,
    Short,
    Byte,
    UnsignedLong,
    Double,
    Float,
    HalfFloat,
    ScaledFloat,
    Boolean,
    Date,
    DateNanos,
    Ip,
    Flattened,
    Binary,
    Alias,
}

/// How a field's values are kept in the search index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Storage {
    /// Analysed terms with positions, and the number of words.
    Text,
    /// The value as one term, with a column.
    Keyword,
    /// A column of whole numbers.
    Int,
    /// A column of fractions.
    Float,
    /// Every leaf of an object as a keyword, with and without its key.
    Flattened,
    /// In the source only.
    Nothing,
}

const NAMES: [(FieldType, &str); 23] = [
    (FieldType::Text, "text"),
    (FieldType::MatchOnlyText, "match_only_text"),
    (FieldType::SearchAsYouType, "search_as_you_type"),
    (FieldType::Keyword, "keyword"),
    (FieldType::ConstantKeyword, "constant_keyword"),
    (FieldType::Wildcard, "wildcard"),
    (FieldType::Version, "version"),
    (FieldType::Long, "long"),
    (FieldType::Integer, "integer"),
    (FieldType::Short, "short"),
    (FieldType::Byte, "byte"),
    (FieldType::UnsignedLong, "unsigned_long"),
    (FieldType::Double, "double"),
    (FieldType::Float, "float"),
    (FieldType::HalfFloat, "half_float"),
    (FieldType::ScaledFloat, "scaled_float"),
    (FieldType::Boolean, "boolean"),
    (FieldType::Date, "date"),
    (FieldType::DateNanos, "date_nanos"),
    (FieldType::Ip, "ip"),
    (FieldType::Flattened, "flattened"),
    (FieldType::Binary, "binary"),
    (FieldType::Alias, "alias"),
];

/// Types Elasticsearch has and this store does not; named so that the error can say so.
const UNSUPPORTED: [&str; 24] = [
    "geo_point",
    "geo_shape",
    "point",
    "shape",
    "dense_vector",
    "sparse_vector",
    "semantic_text",
    "rank_feature",
    "rank_features",
    "completion",
    "join",
    "percolator",
    "histogram",
    "aggregate_metric_double",
    "integer_range",
    "long_range",
    "float_range",
    "double_range",
    "date_range",
    "ip_range",
    "token_count",
    "murmur3",
    "annotated_text",
    "rank_vectors",
];

impl FieldType {
    pub(crate) fn parse(name: &str) -> Option<Self> {
        NAMES.iter().find(|(_, known)| *known == name).map(|(ty, _)| *ty)
    }

    pub(crate) fn is_unsupported(name: &str) -> bool {
        UNSUPPORTED.contains(&name)
    }

    pub(crate) fn name(self) -> &'static str {
        NAMES.iter().find(|(ty, _)| *ty == self).map_or("object", |(_, name)| name)
    }

    pub(crate) fn storage(self) -> Storage {
        match self {
            Self::Text | Self::MatchOnlyText | Self::SearchAsYouType => Storage::Text,
            Self::Keyword | Self::ConstantKeyword | Self::Wildcard | Self::Version | Self::Ip => {
                Storage::Keyword
            }
            Self::Long | Self::Integer | Self::Short | Self::Byte | Self::UnsignedLong => Storage::Int,
            Self::Boolean | Self::Date | Self::DateNanos => Storage::Int,
            Self::Double | Self::Float | Self::HalfFloat | Self::ScaledFloat => Storage::Float,
            Self::Flattened => Storage::Flattened,
            Self::Binary | Self::Alias => Storage::Nothing,
        }
    }

    pub(crate) fn is_text(self) -> bool {
        self.storage() == Storage::Text
    }

    pub(crate) fn is_date(self) -> bool {
        matches!(self, Self::Date | Self::DateNanos)
    }

    /// Numbers proper, without dates and booleans.
    pub(crate) fn is_number(self) -> bool {
        matches!(self.storage(), Storage::Int | Storage::Float) && !self.is_date() && self != Self::Boolean
    }

    /// The bounds of whole numbers and Java's name of the type in range errors.
    pub(crate) fn int_bounds(self) -> Option<(i128, i128, &'static str)> {
        Some(match self {
            Self::Long => (i64::MIN.into(), i64::MAX.into(), "long"),
            Self::Integer => (i32::MIN.into(), i32::MAX.into(), "int"),
            Self::Short => (i16::MIN.into(), i16::MAX.into(), "Java short"),
            Self::Byte => (i8::MIN.into(), i8::MAX.into(), "Java byte"),
            Self::UnsignedLong => (0, u64::MAX.into(), "unsigned long"),
            _ => return None,
        })
    }

    /// Whether the type knows a parameter, besides those all types know.
    pub(crate) fn accepts(self, parameter: &str) -> bool {
        const ALL: [&str; 4] = ["meta", "copy_to", "boost", "fields"];
        if self == Self::Alias {
            return parameter == "path";
        }
        ALL.contains(&parameter) || self.own_parameters().contains(&parameter)
    }

    fn own_parameters(self) -> &'static [&'static str] {
        match self {
            Self::Text | Self::MatchOnlyText | Self::SearchAsYouType => &[
                "analyzer",
                "search_analyzer",
                "search_quote_analyzer",
                "index",
                "store",
                "norms",
                "index_options",
                "similarity",
                "term_vector",
                "position_increment_gap",
                "fielddata",
                "fielddata_frequency_filter",
                "index_phrases",
                "index_prefixes",
                "eager_global_ordinals",
                "max_shingle_size",
                "doc_values",
            ],
            Self::Keyword | Self::Wildcard | Self::Version | Self::ConstantKeyword => &[
                "doc_values",
                "index",
                "store",
                "norms",
                "index_options",
                "similarity",
                "eager_global_ordinals",
                "ignore_above",
                "normalizer",
                "null_value",
                "split_queries_on_whitespace",
                "time_series_dimension",
                "script",
                "on_script_error",
                "value",
                "synthetic_source_keep",
            ],
            Self::Date | Self::DateNanos => &[
                "doc_values",
                "index",
                "store",
                "format",
                "locale",
                "ignore_malformed",
                "null_value",
                "script",
                "on_script_error",
                "synthetic_source_keep",
            ],
            Self::Boolean | Self::Ip => &[
                "doc_values",
                "index",
                "store",
                "null_value",
                "ignore_malformed",
                "script",
                "on_script_error",
                "time_series_dimension",
                "synthetic_source_keep",
            ],
            Self::Flattened => &[
                "depth_limit",
                "doc_values",
                "index",
                "ignore_above",
                "null_value",
                "eager_global_ordinals",
                "split_queries_on_whitespace",
                "similarity",
                "index_options",
                "time_series_dimensions",
            ],
            Self::Binary => &["doc_values", "store"],
            Self::Alias => &["path"],
            _ => &[
                "doc_values",
                "index",
                "store",
                "coerce",
                "ignore_malformed",
                "null_value",
                "script",
                "on_script_error",
                "time_series_dimension",
                "time_series_metric",
                "scaling_factor",
                "synthetic_source_keep",
            ],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for (ty, name) in NAMES {
            assert_eq!(FieldType::parse(name), Some(ty));
            assert_eq!(ty.name(), name);
        }
        assert_eq!(FieldType::parse("object"), None);
        assert!(FieldType::is_unsupported("geo_point"));
    }
}
