//! The search index's fixed schema. Which field a document's value goes to is the mapping's business.

use std::sync::Arc;

use tantivy::schema::{
    IndexRecordOption, JsonObjectOptions, NumericOptions, Schema, TextFieldIndexing, TextOptions,
};
use tantivy::tokenizer::{TextAnalyzer, TokenizerManager};

use crate::analysis::{Analyzers, IndexTokenizer};
use crate::document::fields;

fn text_indexing(tokenizer: &str, record: IndexRecordOption) -> TextFieldIndexing {
    TextFieldIndexing::default().set_tokenizer(tokenizer).set_index_option(record).set_fieldnorms(false)
}

fn analyzer_name(at: usize) -> String {
    format!("analyzer{at}")
}

/// The schema of an index with these analyzers.
pub(super) fn schema(analyzers: &Analyzers) -> Schema {
    let mut builder = Schema::builder();
    let raw = || text_indexing("raw", IndexRecordOption::Basic);
    let added = [
        builder.add_text_field("i", TextOptions::default().set_indexing_options(raw())),
        builder.add_u64_field("s", NumericOptions::default().set_fast()),
        builder.add_json_field("k", JsonObjectOptions::default().set_indexing_options(raw()).set_fast("raw")),
        builder.add_json_field("c", JsonObjectOptions::default().set_fast("raw")),
        builder.add_json_field("n", JsonObjectOptions::default().set_fast("raw")),
    ];
    debug_assert_eq!(added, [fields::ID, fields::SEQ, fields::KEYWORD, fields::COLUMN, fields::NUMBER]);
    for at in 0..analyzers.len() {
        let indexing = text_indexing(&analyzer_name(at), IndexRecordOption::WithFreqsAndPositions);
        let field = builder
            .add_json_field(&format!("t{at}"), JsonObjectOptions::default().set_indexing_options(indexing));
        debug_assert_eq!(field, fields::text(at));
    }
    builder.build()
}

/// The analyzers under the names the schema knows them by.
pub(super) fn tokenizers(analyzers: &Analyzers) -> TokenizerManager {
    let manager = TokenizerManager::default();
    for at in 0..analyzers.len() {
        let tokenizer = IndexTokenizer(Arc::clone(analyzers.get(at)));
        manager.register(&analyzer_name(at), TextAnalyzer::builder(tokenizer).build());
    }
    manager
}
