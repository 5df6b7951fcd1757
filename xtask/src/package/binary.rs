//! What a program's file says about itself.

use std::collections::BTreeSet;

/// The least that can be known of a program to package it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Binary {
    /// As Debian calls it.
    pub(super) architecture: &'static str,
    /// The C library it needs, such as `2.34`.
    pub(super) libc: String,
}

impl Binary {
    /// Reads the header, and the versions of the C library's symbols it asks for.
    pub(super) fn of(program: &[u8]) -> Result<Self, String> {
        if !program.starts_with(b"\x7FELF") || program.len() < 20 {
            return Err("the program is no ELF file".to_owned());
        }
        let architecture = match u16::from_le_bytes([program[18], program[19]]) {
            0x3E => "amd64",
            0xB7 => "arm64",
            other => return Err(format!("no package can be made for machine type {other:#x}")),
        };
        let minor = symbols(program).max().ok_or("the program asks for no version of the C library")?;
        Ok(Self { architecture, libc: format!("2.{minor}") })
    }
}

/// The minor versions of all `GLIBC_2.…` in the file.
fn symbols(program: &[u8]) -> impl Iterator<Item = u32> + '_ {
    const MARK: &[u8] = b"GLIBC_2.";
    program.windows(MARK.len()).enumerate().filter(|(_, window)| *window == MARK).filter_map(|(at, _)| {
        let digits = program[at + MARK.len()..].iter().take_while(|byte| byte.is_ascii_digit());
        let digits: String = digits.map(|byte| char::from(*byte)).collect();
        digits.parse().ok()
    })
}

/// The crates whose code is in the file, as far as it shows: a panic names the source it is from,
/// `…/registry/src/HOST-HASH/NAME-VERSION/src/lib.rs`. They come as `NAME VERSION`.
pub(super) fn crates(program: &[u8]) -> BTreeSet<String> {
    const MARK: &[u8] = b"/registry/src/";
    let places = program.windows(MARK.len()).enumerate().filter(|(_, window)| *window == MARK);
    let named = places.filter_map(|(at, _)| {
        let path = program[at + MARK.len()..].iter().take_while(|byte| byte.is_ascii_graphic());
        let path: String = path.take(300).map(|byte| char::from(*byte)).collect();
        let (folder, _) = path.split_once('/')?.1.split_once('/')?;
        // Both may have hyphens, and names numbers (`md-5`): a version is what begins with a number and a point.
        let at = folder.match_indices('-').map(|(at, _)| at).find(|at| {
            let number = folder[at + 1..].split('.').next().unwrap_or_default();
            let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
            is_number && at + 1 + number.len() < folder.len()
        })?;
        Some(format!("{} {}", &folder[..at], &folder[at + 1..]))
    });
    named.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn elf(machine: u8, symbols: &[u8]) -> Vec<u8> {
        let mut file = b"\x7FELF".to_vec();
        file.resize(18, 0);
        file.extend([machine, 0]);
        file.extend_from_slice(symbols);
        file
    }

    #[test]
    fn the_newest_symbol_decides() {
        let found = Binary::of(&elf(0x3E, b"\0GLIBC_2.9\0GLIBC_2.34\0GLIBC_2.2.5\0GLIBC_PRIVATE\0")).unwrap();
        assert_eq!(found, Binary { architecture: "amd64", libc: "2.34".to_owned() });
        assert_eq!(Binary::of(&elf(0xB7, b"GLIBC_2.17")).unwrap().architecture, "arm64");
    }

    #[test]
    fn what_is_no_program_for_a_known_machine_is_refused() {
        assert!(Binary::of(b"#!/bin/sh").is_err());
        assert!(Binary::of(&elf(0x03, b"GLIBC_2.17")).unwrap_err().contains("0x3"));
        assert!(Binary::of(&elf(0x3E, b"static")).is_err());
    }

    #[test]
    fn crates_are_known_by_the_sources_that_panics_name() {
        let text = b"\0/home/a/.cargo/registry/src/index.example.org-1949cf8c/tikv-jemalloc-sys-0.7.1+5.3.1-0-g81/src/lib.rs\
            \0/registry/src/mirror-0/base64-0.22.1/src/a.rs/x/registry/src/mirror-0/md-5-1.0.0-rc.1/src/b.rs\
            \0/registry/src/cut\0/rust/deps/hashbrown-0.16.1/src/raw.rs";
        let expected = ["base64 0.22.1", "md-5 1.0.0-rc.1", "tikv-jemalloc-sys 0.7.1+5.3.1-0-g81"];
        assert_eq!(crates(text).into_iter().collect::<Vec<_>>(), expected);
    }
}
