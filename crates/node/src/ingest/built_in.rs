//! The pipelines of the default ingestion, which connectors use unless another is chosen (sync-runtime 7).

use serde_json::{Value, json};

/// Names and definitions.
pub(super) fn pipelines() -> Vec<(&'static str, Value)> {
    vec![("search-default-ingestion", definition()), ("ent-search-generic-ingestion", definition())]
}

fn definition() -> Value {
    let extracts = "ctx?._extract_binary_content == true";
    let reduces = "ctx?._reduce_whitespace == true && ctx?.body != null";
    let note = |what: &str| {
        json!([{"append": {
            "field": "_ingestion_errors",
            "value": format!("{what} failed in pipeline '{{{{ _ingest.on_failure_pipeline }}}}': {{{{ _ingest.on_failure_message }}}}"),
        }}])
    };
    json!({
        "version": 1,
        "description": "What connectors' documents go through unless another pipeline is chosen",
        "_meta": {"managed": true},
        "processors": [
            {"attachment": {
                "description": "Extract the text of binary content",
                "if": extracts, "field": "_attachment", "target_field": "_extracted_attachment",
                "indexed_chars_field": "_attachment_indexed_chars", "ignore_missing": true,
                "on_failure": note("extracting text"),
            }},
            {"set": {
                "description": "The extracted text is the body",
                "if": extracts, "field": "body", "copy_from": "_extracted_attachment.content", "ignore_empty_value": true,
                "on_failure": note("setting the body"),
            }},
            {"gsub": {
                "description": "Remove characters that could not be decoded",
                "if": format!("{extracts} && ctx?.body != null"), "field": "body", "pattern": "\u{fffd}", "replacement": "",
                "ignore_missing": true,
                "on_failure": note("removing undecoded characters"),
            }},
            {"gsub": {
                "description": "Reduce white space",
                "if": reduces, "field": "body", "pattern": "\\s+", "replacement": " ", "ignore_missing": true,
                "on_failure": note("reducing white space"),
            }},
            {"trim": {
                "description": "Remove white space around the body",
                "if": reduces, "field": "body", "ignore_missing": true,
                "on_failure": note("trimming the body"),
            }},
            {"remove": {
                "description": "Remove what only this pipeline needs",
                "field": [
                    "_attachment", "_attachment_indexed_chars", "_extracted_attachment", "_extract_binary_content",
                    "_reduce_whitespace", "_run_ml_inference",
                ],
                "ignore_missing": true,
                "on_failure": note("removing helper fields"),
            }},
        ],
    })
}
