use proc_macro2::Span;
use quote::ToTokens;
use syn::ext::IdentExt as _;
use syn::meta::ParseNestedMeta;
use syn::punctuated::Punctuated;
use syn::spanned::Spanned as _;
use syn::{Error, Expr, ExprArray, Field, Ident, LitStr, Result, Token, parenthesized};

/// Keys of `#[config(…)]`, for the error that names them.
const KEYS: &str = "label, tooltip, placeholder, category, name, default, value, display, sensitive, options, \
                    depends_on, min, max, greater_than, less_than, regex, included_in, list_type, advanced";

/// Displays and the variants of `tributary_sdk::Display` that stand for them.
const DISPLAYS: [(&str, &str); 6] = [
    ("text", "Text"),
    ("textbox", "Textbox"),
    ("textarea", "Textarea"),
    ("numeric", "Numeric"),
    ("toggle", "Toggle"),
    ("dropdown", "Dropdown"),
];

/// What `#[config(…)]` says of one field.
#[derive(Default)]
pub(crate) struct Attributes {
    pub(crate) label: Option<LitStr>,
    pub(crate) tooltip: Option<LitStr>,
    pub(crate) placeholder: Option<LitStr>,
    pub(crate) category: Option<LitStr>,
    pub(crate) name: Option<LitStr>,
    pub(crate) default: Option<Expr>,
    pub(crate) value: Option<Expr>,
    pub(crate) display: Option<Ident>,
    pub(crate) sensitive: bool,
    pub(crate) advanced: bool,
    /// Values with their labels.
    pub(crate) options: Vec<(Expr, Expr)>,
    pub(crate) depends_on: Vec<Dependency>,
    pub(crate) checks: Vec<Check>,
}

/// A condition on another field.
pub(crate) struct Dependency {
    pub(crate) field: Ident,
    pub(crate) value: Expr,
}

/// A validation.
pub(crate) struct Check {
    /// Variant of `ValidationKind`.
    pub(crate) kind: &'static str,
    pub(crate) constraint: Expr,
    /// Added to the constraint: the protocol's bounds are exclusive.
    pub(crate) shift: i64,
}

impl Attributes {
    pub(crate) fn of(field: &Field) -> Result<Self> {
        let mut found = Self::default();
        let mut faults: Option<Error> = None;
        for attribute in field.attrs.iter().filter(|attribute| attribute.path().is_ident("config")) {
            if let Err(fault) = attribute.parse_nested_meta(|meta| found.take(&meta)) {
                add(&mut faults, fault);
            }
        }
        if let Some(faults) = faults {
            return Err(faults);
        }
        found.check(field)?;
        Ok(found)
    }

    fn take(&mut self, meta: &ParseNestedMeta<'_>) -> Result<()> {
        let key = meta.path.require_ident()?.to_string();
        match key.as_str() {
            "label" => once(&mut self.label, meta, text),
            "tooltip" => once(&mut self.tooltip, meta, text),
            "placeholder" => once(&mut self.placeholder, meta, text),
            "category" => once(&mut self.category, meta, text),
            "name" => once(&mut self.name, meta, text),
            "default" => once(&mut self.default, meta, expression),
            "value" => once(&mut self.value, meta, expression),
            "display" => once(&mut self.display, meta, display),
            "sensitive" => flag(&mut self.sensitive, meta),
            "advanced" => flag(&mut self.advanced, meta),
            "options" => self.take_options(meta),
            "depends_on" => self.take_dependencies(meta),
            "min" => self.take_check("GreaterThan", -1, meta),
            "max" => self.take_check("LessThan", 1, meta),
            "greater_than" => self.take_check("GreaterThan", 0, meta),
            "less_than" => self.take_check("LessThan", 0, meta),
            "regex" => self.take_check("Regex", 0, meta),
            "included_in" => self.take_check("IncludedIn", 0, meta),
            "list_type" => self.take_check("ListType", 0, meta),
            other => Err(meta.error(format!("`{other}` is not a key of `config`; expected one of {KEYS}"))),
        }
    }

    fn take_options(&mut self, meta: &ParseNestedMeta<'_>) -> Result<()> {
        let array: ExprArray = meta.value()?.parse()?;
        if array.elems.is_empty() {
            return Err(Error::new(array.span(), "`options` has no choice"));
        }
        for choice in array.elems {
            let pair = match choice {
                Expr::Tuple(pair) if pair.elems.len() == 2 => {
                    let mut parts = pair.elems.into_iter();
                    parts.next().zip(parts.next())
                }
                Expr::Tuple(other) => {
                    return Err(Error::new(other.span(), "a choice is `value` or `(value, \"Label\")`"));
                }
                value => Some((value.clone(), value)),
            };
            self.options.extend(pair);
        }
        Ok(())
    }

    fn take_dependencies(&mut self, meta: &ParseNestedMeta<'_>) -> Result<()> {
        if !meta.input.peek(syn::token::Paren) {
            return Err(meta.error("expected `depends_on(field = value)`"));
        }
        let content;
        parenthesized!(content in meta.input);
        let pairs = Punctuated::<_, Token![,]>::parse_terminated_with(&content, |input| {
            let field = input.call(Ident::parse_any)?;
            input.parse::<Token![=]>()?;
            Ok(Dependency { field, value: input.parse()? })
        })?;
        if pairs.is_empty() {
            return Err(meta.error("`depends_on` names no field; expected `depends_on(field = value)`"));
        }
        self.depends_on.extend(pairs);
        Ok(())
    }

    fn take_check(&mut self, kind: &'static str, shift: i64, meta: &ParseNestedMeta<'_>) -> Result<()> {
        let constraint = expression(meta)?;
        if self.checks.iter().any(|check| check.kind == kind) {
            return Err(meta.error("there is such a check already"));
        }
        self.checks.push(Check { kind, constraint, shift });
        Ok(())
    }

    fn check(&self, field: &Field) -> Result<()> {
        let mut faults = None;
        if self.label.as_ref().is_none_or(|label| label.value().trim().is_empty()) {
            let span = self.label.as_ref().map_or_else(|| field.span(), LitStr::span);
            add(
                &mut faults,
                Error::new(span, "a configuration field needs a label: `#[config(label = \"…\")]`"),
            );
        }
        if let (Some(_), Some(value)) = (&self.default, &self.value) {
            let text = "`default` is the starting value too: leave out `value`";
            add(&mut faults, Error::new(value.span(), text));
        }
        if let Some(first) = self.depends_on.first()
            && self.default.is_none()
            && !is_option(&field.ty)
        {
            let text = "a field that depends on another has no value at times: make its type `Option<…>` or give it a \
                        `default`";
            add(&mut faults, Error::new(first.field.span(), text));
        }
        faults.map_or(Ok(()), Err)
    }
}

/// Adds one error to those found before, so that the compiler shows all.
pub(crate) fn add(faults: &mut Option<Error>, fault: Error) {
    match faults {
        Some(faults) => faults.combine(fault),
        None => *faults = Some(fault),
    }
}

fn once<T>(
    slot: &mut Option<T>,
    meta: &ParseNestedMeta<'_>,
    read: fn(&ParseNestedMeta<'_>) -> Result<T>,
) -> Result<()> {
    let value = read(meta)?;
    if slot.is_some() {
        return Err(meta.error(format!("`{}` is given twice", meta.path.to_token_stream())));
    }
    *slot = Some(value);
    Ok(())
}

fn flag(slot: &mut bool, meta: &ParseNestedMeta<'_>) -> Result<()> {
    if meta.input.peek(Token![=]) {
        return Err(meta.error(format!("`{}` takes no value", meta.path.to_token_stream())));
    }
    *slot = true;
    Ok(())
}

fn text(meta: &ParseNestedMeta<'_>) -> Result<LitStr> {
    meta.value()?.parse()
}

fn expression(meta: &ParseNestedMeta<'_>) -> Result<Expr> {
    meta.value()?.parse()
}

fn display(meta: &ParseNestedMeta<'_>) -> Result<Ident> {
    let word = text(meta)?;
    let found = DISPLAYS.iter().find(|(known, _)| *known == word.value());
    let (_, variant) = found.ok_or_else(|| {
        let all: Vec<&str> = DISPLAYS.iter().map(|(known, _)| *known).collect();
        Error::new(
            word.span(),
            format!("`{}` is no display; expected one of {}", word.value(), all.join(", ")),
        )
    })?;
    Ok(Ident::new(variant, Span::call_site()))
}

fn is_option(ty: &syn::Type) -> bool {
    let syn::Type::Path(path) = ty else { return false };
    path.path.segments.last().is_some_and(|segment| segment.ident == "Option")
}
