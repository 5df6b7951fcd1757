//! Compiling queries on internet addresses.

use std::sync::Arc;

use serde_json::Value;

use super::ast::Bounds;
use super::compile::{Compiled, Compiler};
use super::leaf::Matcher;
use super::parse_value::scalar_text;
use crate::document::ip_number;
use crate::error::Result;
use crate::mapping::Leaf;

impl Compiler<'_> {
    fn ip_matching(&self, leaf: &Leaf, low: u128, high: u128) -> Compiled {
        let matcher: Matcher =
            Arc::new(move |text| ip_number(text).is_some_and(|ip| (low..=high).contains(&ip)));
        self.pattern(leaf, "", Some(matcher))
    }

    pub(super) fn ip_network(&self, leaf: &Leaf, text: &str) -> Result<Compiled> {
        let bad = || {
            self.not_created("illegal_argument_exception", format!("'{text}' is not an IP string literal."))
        };
        let (address, bits) = text.split_once('/').ok_or_else(bad)?;
        let number = ip_number(address).ok_or_else(bad)?;
        let bits: u32 = bits.parse().map_err(|_| bad())?;
        let bits = if address.contains(':') { bits } else { bits + 96 };
        if bits > 128 {
            return Err(bad());
        }
        let host = if bits == 0 { u128::MAX } else { (1u128 << (128 - bits)).wrapping_sub(1) };
        Ok(self.ip_matching(leaf, number & !host, number | host))
    }

    pub(super) fn ip_range(&self, leaf: &Leaf, bounds: &Bounds) -> Result<Compiled> {
        let number = |bound: &Option<(Value, bool)>| match bound {
            None => Ok(None),
            Some((value, included)) => {
                let text = scalar_text(value);
                let ip = ip_number(&text).ok_or_else(|| {
                    self.not_created(
                        "illegal_argument_exception",
                        format!("'{text}' is not an IP string literal."),
                    )
                })?;
                Ok(Some((ip, *included)))
            }
        };
        let low = number(&bounds.lower)?.map_or(0, |(ip, included)| ip.saturating_add(u128::from(!included)));
        let high = number(&bounds.upper)?
            .map_or(u128::MAX, |(ip, included)| ip.saturating_sub(u128::from(!included)));
        Ok(self.ip_matching(leaf, low, high))
    }
}
