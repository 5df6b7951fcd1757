use proc_macro2::{Literal, TokenStream};
use quote::quote;
use syn::ext::IdentExt as _;
use syn::spanned::Spanned as _;
use syn::{Data, DeriveInput, Error, Fields, Ident, Result, Type};

use crate::attributes::{Attributes, Check, add};

/// One field of the struct.
struct Declared<'a> {
    ident: &'a Ident,
    ty: &'a Type,
    /// Its key in the configuration.
    name: String,
    attributes: Attributes,
}

/// The implementation of `SourceConfig`.
pub(crate) fn source_config(input: &DeriveInput) -> Result<TokenStream> {
    let fields = declared(input)?;
    check_names(&fields)?;
    let config = &input.ident;
    let declarations = fields.iter().map(|field| declaration(field, &fields));
    let reads = fields.iter().map(|Declared { ident, ty, name, .. }| {
        quote! { let #ident = reader.read::<#ty>(#name); }
    });
    let idents: Vec<&Ident> = fields.iter().map(|field| field.ident).collect();
    Ok(quote! {
        #[automatically_derived]
        impl ::tributary_sdk::SourceConfig for #config {
            fn schema() -> ::tributary_sdk::ConfigSchema {
                let mut schema = ::tributary_sdk::ConfigSchema::new();
                #(#declarations)*
                schema
            }

            fn from_schema(
                given: &::tributary_sdk::ConfigSchema,
            ) -> ::core::result::Result<Self, ::std::vec::Vec<::tributary_sdk::ConfigProblem>> {
                let declared = <Self as ::tributary_sdk::SourceConfig>::schema();
                let mut reader = ::tributary_sdk::ConfigReader::new(declared, given);
                #(#reads)*
                match (#(#idents,)*) {
                    (#(::core::option::Option::Some(#idents),)*) => ::core::result::Result::Ok(Self { #(#idents),* }),
                    _ => ::core::result::Result::Err(reader.into_problems()),
                }
            }
        }
    })
}

fn declared(input: &DeriveInput) -> Result<Vec<Declared<'_>>> {
    if let Some(generic) = input.generics.params.first() {
        return Err(Error::new(generic.span(), "a configuration cannot be generic"));
    }
    let named = match &input.data {
        Data::Struct(data) => match &data.fields {
            Fields::Named(named) => &named.named,
            _ => return Err(Error::new(input.ident.span(), "SourceConfig needs a struct with named fields")),
        },
        _ => return Err(Error::new(input.ident.span(), "SourceConfig can be derived for structs only")),
    };
    let (mut fields, mut faults) = (Vec::new(), None);
    for field in named {
        let Some(ident) = &field.ident else { continue };
        match Attributes::of(field) {
            Ok(attributes) => {
                let name =
                    attributes.name.as_ref().map_or_else(|| ident.unraw().to_string(), syn::LitStr::value);
                fields.push(Declared { ident, ty: &field.ty, name, attributes });
            }
            Err(fault) => add(&mut faults, fault),
        }
    }
    match faults {
        Some(faults) => Err(faults),
        None if fields.is_empty() => Err(Error::new(input.ident.span(), "a configuration needs a field")),
        None => Ok(fields),
    }
}

fn check_names(fields: &[Declared<'_>]) -> Result<()> {
    let mut faults = None;
    for (at, field) in fields.iter().enumerate() {
        if fields[..at].iter().any(|earlier| earlier.name == field.name) {
            let text = format!("the configuration has a field `{}` already", field.name);
            add(&mut faults, Error::new(field.ident.span(), text));
        }
        for dependency in &field.attributes.depends_on {
            if key(&dependency.field, fields).is_none() {
                let text = format!("there is no field `{}` to depend on", dependency.field);
                add(&mut faults, Error::new(dependency.field.span(), text));
            } else if dependency.field == *field.ident {
                add(&mut faults, Error::new(dependency.field.span(), "a field cannot depend on itself"));
            }
        }
    }
    faults.map_or(Ok(()), Err)
}

/// The configuration's key of a field of the struct.
fn key<'a>(ident: &Ident, fields: &'a [Declared<'_>]) -> Option<&'a str> {
    fields.iter().find(|field| field.ident == ident).map(|field| field.name.as_str())
}

fn declaration(field: &Declared<'_>, all: &[Declared<'_>]) -> TokenStream {
    let Declared { ty, name, attributes, .. } = field;
    let Attributes { label, tooltip, placeholder, category, default, value, display, .. } = attributes;
    let texts = [("tooltip", tooltip), ("placeholder", placeholder), ("category", category)];
    let texts = texts.into_iter().filter_map(|(method, text)| {
        let method = Ident::new(method, proc_macro2::Span::call_site());
        text.as_ref().map(|text| quote! { .#method(#text) })
    });
    let default = default.iter().map(|value| quote! { .default(#value) });
    let value = value.iter().map(|value| quote! { .value(#value) });
    let options = attributes.options.iter().map(|(value, label)| quote! { .option(#value, #label) });
    let display = display.iter().map(|variant| quote! { .display(::tributary_sdk::Display::#variant) });
    let sensitive = attributes.sensitive.then(|| quote! { .sensitive() });
    let advanced = attributes.advanced.then(|| quote! { .advanced() });
    let dependencies = attributes.depends_on.iter().filter_map(|dependency| {
        let (key, value) = (key(&dependency.field, all)?, &dependency.value);
        Some(quote! { .depends_on(#key, #value) })
    });
    let checks = attributes.checks.iter().map(check);
    quote! {
        ::tributary_sdk::FieldBuilder::of::<#ty>(#label)
            #(#texts)* #(#default)* #(#value)* #(#options)* #(#display)* #sensitive #advanced #(#dependencies)*
            #(#checks)*
            .add(&mut schema, #name);
    }
}

fn check(check: &Check) -> TokenStream {
    let Check { kind, constraint, shift } = check;
    let kind = Ident::new(kind, proc_macro2::Span::call_site());
    let constraint = match shift {
        0 => quote! { #constraint },
        // With the type of the protocol's whole numbers, so that a fraction does not compile.
        shift => {
            let shift = Literal::i64_suffixed(*shift);
            quote! { (#constraint as i64).saturating_add(#shift) }
        }
    };
    quote! { .validation(::tributary_sdk::ValidationKind::#kind, #constraint) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use syn::parse_quote;

    /// The expansion without blanks.
    fn expanded(input: &DeriveInput) -> String {
        source_config(input).unwrap().to_string().replace(' ', "")
    }

    fn faults(input: &DeriveInput) -> Vec<String> {
        source_config(input).unwrap_err().into_iter().map(|fault| fault.to_string()).collect()
    }

    #[test]
    fn fields_are_declared_and_read_in_their_order() {
        let code = expanded(&parse_quote! {
            struct Config {
                #[config(label = "Address", tooltip = "Where.")]
                url: String,
                #[config(label = "Kind", name = "type", default = "a", options = ["a", ("b", "Bee")])]
                r#type: String,
            }
        });
        for part in [
            "FieldBuilder::of::<String>(\"Address\").tooltip(\"Where.\").add(&mutschema,\"url\");",
            ".default(\"a\").option(\"a\",\"a\").option(\"b\",\"Bee\").add(&mutschema,\"type\");",
            "leturl=reader.read::<String>(\"url\");letr#type=reader.read::<String>(\"type\");",
        ] {
            assert!(code.contains(part), "{part} is not in {code}");
        }
    }

    #[test]
    fn inclusive_bounds_become_the_protocols_exclusive_ones() {
        let code = expanded(&parse_quote! {
            struct Config {
                #[config(label = "Port", min = 1, max = 65535)]
                port: u16,
                #[config(label = "Rate", greater_than = 0, regex = "x")]
                rate: f64,
            }
        });
        for part in [
            "ValidationKind::GreaterThan,(1asi64).saturating_add(-1i64))",
            "ValidationKind::LessThan,(65535asi64).saturating_add(1i64))",
            "ValidationKind::GreaterThan,0)",
            "ValidationKind::Regex,\"x\")",
        ] {
            assert!(code.contains(part), "{part} is not in {code}");
        }
    }

    #[test]
    fn a_dependency_names_the_configurations_key() {
        let code = expanded(&parse_quote! {
            struct Config {
                #[config(label = "TLS", name = "use_tls", default = false)]
                tls: bool,
                #[config(label = "CA", depends_on(tls = true), sensitive)]
                ca: Option<String>,
            }
        });
        assert!(code.contains(".sensitive().depends_on(\"use_tls\",true).add(&mutschema,\"ca\");"), "{code}");
    }

    #[test]
    fn every_fault_of_every_field_is_told() {
        let found = faults(&parse_quote! {
            struct Config {
                a: String,
                #[config(label = "B", lable = "x")]
                b: String,
                #[config(label = "C", display = "round")]
                c: String,
                #[config(label = "D", default = 1, value = 2)]
                d: i64,
                #[config(label = "E", depends_on(d = 1))]
                e: String,
            }
        });
        let expected = [
            "needs a label",
            "`lable` is not a key of `config`; expected one of label, ",
            "`round` is no display; expected one of text, ",
            "leave out `value`",
            "make its type `Option<…>` or give it a `default`",
        ];
        assert_eq!(found.len(), expected.len(), "{found:?}");
        for (found, expected) in found.iter().zip(expected) {
            assert!(found.contains(expected), "{found}");
        }
    }

    #[test]
    fn dependencies_and_names_are_checked_across_fields() {
        let found = faults(&parse_quote! {
            struct Config {
                #[config(label = "A", depends_on(nope = 1))]
                a: Option<String>,
                #[config(label = "B", name = "a")]
                b: String,
                #[config(label = "C", depends_on(c = 1))]
                c: Option<String>,
            }
        });
        assert_eq!(
            found,
            [
                "there is no field `nope` to depend on",
                "the configuration has a field `a` already",
                "a field cannot depend on itself"
            ]
        );
    }

    #[test]
    fn only_structs_with_named_fields_are_taken() {
        assert!(faults(&parse_quote! { enum Config { A } })[0].contains("structs only"));
        assert!(faults(&parse_quote! { struct Config(String); })[0].contains("named fields"));
        assert!(faults(&parse_quote! { struct Config<T> { a: T } })[0].contains("generic"));
        assert!(faults(&parse_quote! { struct Config {} })[0].contains("needs a field"));
    }
}
