//! What a program's file says about itself.

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
}
