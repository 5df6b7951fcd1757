//! Derive macro for a source's configuration.

mod attributes;
mod expand;

use proc_macro::TokenStream;

/// Implements `SourceConfig` for a struct with named fields; each needs `#[config(label = "…")]`. The keys of the
/// attribute are described at the trait `tributary_sdk::SourceConfig`.
#[proc_macro_derive(SourceConfig, attributes(config))]
pub fn derive_source_config(input: TokenStream) -> TokenStream {
    let input = syn::parse_macro_input!(input as syn::DeriveInput);
    expand::source_config(&input).unwrap_or_else(syn::Error::into_compile_error).into()
}
