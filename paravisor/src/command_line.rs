// SPDX-License-Identifier: MIT OR Apache-2.0
//! The paravisor's own command line: `key=value …`, then ` -- `, then the L2's command line.
//!
//! It is part of the measured image, so it is trusted; it is still parsed strictly, because a typing
//! error that is ignored would silently change what was measured to mean.

use core::fmt;

use acpi_routes::request::Interpreter;
use log::LevelFilter;

use crate::{identity::Identity, intx::Route, kernel::Protocol};

/// Milliseconds for which Linux waits, too.
const QUOTE_TIMEOUT: u32 = 30_000;

/// Most statements about devices' lines.
const STATEMENTS: usize = 16;

/// What the command line asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options<'a> {
    /// The most verbose level that is printed.
    pub log: LevelFilter,
    /// Number of L2 virtual CPUs, when fewer than the TD has are wanted.
    pub cpus: Option<u32>,
    /// Whether L2 is told by its command line which address bit means shared.
    pub tell_shared_bit: bool,
    /// How a guest starts that can start in more ways than one.
    pub entry: Option<Protocol>,
    /// How L2's other CPUs start.
    pub wake: Wake,
    /// The hypervisor that L2 sees.
    pub identity: Identity,
    /// Milliseconds for which a quote is waited for.
    pub quote_timeout: u32,
    /// Packets to send over each VMBus channel that answers.
    pub echo: u64,
    /// What the host's ACPI tables are for.
    pub tables: HostTables,
    /// Where devices' lines lead, as the operator says.
    pub routes: [Option<Route>; STATEMENTS],
    /// Everything after ` -- `, verbatim.
    pub guest: &'a str,
}

/// How L2 starts its other CPUs. By INIT and start-up it always can.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wake {
    /// By the mailbox of the ACPI tables.
    Mailbox,
    /// By INIT and start-up only.
    Sipi,
}

/// What the host's ACPI tables are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostTables {
    /// Nothing: they are not looked at.
    Ignored,
    /// They are copied and measured, and say where lines lead of which the operator states nothing, as this
    /// interpreter understands them.
    Routes(Interpreter),
}

/// Why the command line was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error<'a> {
    /// Not UTF-8.
    Encoding,
    /// A word without `=`, or with a key that does not exist.
    UnknownKey(&'a str),
    /// A known key whose value makes no sense.
    BadValue(&'a str),
}

impl fmt::Display for Error<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Encoding => f.write_str("the command line is not UTF-8"),
            Self::UnknownKey(word) => write!(f, "unknown key in `{word}`"),
            Self::BadValue(word) => write!(f, "bad value in `{word}`"),
        }
    }
}

/// Parses the measured command line.
///
/// # Errors
/// The first word that is not understood.
pub fn parse(bytes: &[u8]) -> Result<Options<'_>, Error<'_>> {
    let text = core::str::from_utf8(bytes).map_err(|_| Error::Encoding)?;
    let (own, guest) = split(text);
    let mut options = Options {
        log: LevelFilter::Info,
        cpus: None,
        tell_shared_bit: false,
        entry: None,
        wake: Wake::Mailbox,
        identity: Identity::Kvm,
        quote_timeout: QUOTE_TIMEOUT,
        echo: 0,
        tables: HostTables::Routes(Interpreter::Own),
        routes: [None; STATEMENTS],
        guest,
    };
    for word in own.split_ascii_whitespace() {
        match word.split_once('=') {
            Some(("log", value)) => {
                options.log = value.parse().map_err(|_| Error::BadValue(word))?;
            }
            Some(("cpus", value)) => match value.parse() {
                Ok(cpus) if cpus > 0 => options.cpus = Some(cpus),
                _ => return Err(Error::BadValue(word)),
            },
            Some(("tell", "shared_bit")) => options.tell_shared_bit = true,
            Some(("tell", _)) => return Err(Error::BadValue(word)),
            Some(("entry", "pvh")) => options.entry = Some(Protocol::Pvh),
            Some(("entry", "multiboot")) => options.entry = Some(Protocol::Multiboot),
            Some(("entry", _)) => return Err(Error::BadValue(word)),
            Some(("wake", "mailbox")) => options.wake = Wake::Mailbox,
            Some(("wake", "sipi")) => options.wake = Wake::Sipi,
            Some(("wake", _)) => return Err(Error::BadValue(word)),
            Some(("quote_timeout", value)) => match value.parse() {
                Ok(timeout) if (1..=600_000).contains(&timeout) => options.quote_timeout = timeout,
                _ => return Err(Error::BadValue(word)),
            },
            Some(("echo", value)) => {
                options.echo = value.parse().map_err(|_| Error::BadValue(word))?;
            }
            Some(("acpi", "off")) => options.tables = HostTables::Ignored,
            Some(("acpi", "routes")) => {
                options.tables = HostTables::Routes(Interpreter::Own);
            }
            Some(("acpi", "crate")) => {
                options.tables = HostTables::Routes(Interpreter::Crate);
            }
            Some(("acpi", _)) => return Err(Error::BadValue(word)),
            Some(("intx", value)) => options.state(value).ok_or(Error::BadValue(word))?,
            Some(("identity", value)) => {
                options.identity = Identity::named(value).ok_or(Error::BadValue(word))?;
            }
            _ => return Err(Error::UnknownKey(word)),
        }
    }
    Ok(options)
}

impl Options<'_> {
    /// Takes a statement about a device's line. `None` if it is none, or the device has one already.
    fn state(&mut self, statement: &str) -> Option<()> {
        let route = Route::parse(statement)?;
        if self.routes.iter().flatten().any(|other| other.bdf == route.bdf) {
            return None;
        }
        *self.routes.iter_mut().find(|place| place.is_none())? = Some(route);
        Some(())
    }
}

/// Splits at the first word that is exactly `--`.
fn split(text: &str) -> (&str, &str) {
    let mut from = 0;
    while let Some(at) = text[from..].find("--").map(|found| from + found) {
        let before = text[..at].chars().next_back();
        let after = text[at + 2..].chars().next();
        if before.is_none_or(char::is_whitespace) && after.is_none_or(char::is_whitespace) {
            return (&text[..at], text[at + 2..].trim());
        }
        from = at + 2;
    }
    (text, "")
}

#[cfg(test)]
mod tests {
    use super::{Error, HostTables, Options, Protocol, Wake, parse};
    use crate::identity::Identity;
    use acpi_routes::request::Interpreter;
    use log::LevelFilter;

    #[test]
    fn an_empty_line_means_the_defaults() {
        let expected = Options {
            log: LevelFilter::Info,
            cpus: None,
            tell_shared_bit: false,
            entry: None,
            wake: Wake::Mailbox,
            identity: Identity::Kvm,
            quote_timeout: 30_000,
            echo: 0,
            tables: HostTables::Routes(Interpreter::Own),
            routes: [None; 16],
            guest: "",
        };
        assert_eq!(parse(b""), Ok(expected));
        assert_eq!(parse(b" -- "), Ok(expected));
    }

    #[test]
    fn own_keys_end_at_the_separator() {
        let line =
            b"log=debug cpus=2 wake=sipi identity=hyperv quote_timeout=50 echo=9 -- scenario=demo count=3";
        let options = parse(line).unwrap();
        assert_eq!(options.wake, Wake::Sipi);
        assert_eq!(options.log, LevelFilter::Debug);
        assert_eq!(options.identity, Identity::HyperV);
        assert_eq!((options.cpus, options.quote_timeout, options.echo), (Some(2), 50, 9));
        assert_eq!(options.guest, "scenario=demo count=3");
    }

    #[test]
    fn the_guest_is_told_and_entered_as_asked() {
        let options = parse(b"tell=shared_bit entry=multiboot").unwrap();
        assert!(options.tell_shared_bit);
        assert_eq!(options.entry, Some(Protocol::Multiboot));
        assert_eq!(parse(b"entry=pvh").unwrap().entry, Some(Protocol::Pvh));
    }

    #[test]
    fn the_host_s_tables_are_looked_at_unless_told_otherwise() {
        let routes = HostTables::Routes;
        assert_eq!(parse(b"acpi=routes").unwrap().tables, routes(Interpreter::Own));
        assert_eq!(parse(b"acpi=off").unwrap().tables, HostTables::Ignored);
        assert_eq!(parse(b"acpi=crate").unwrap().tables, routes(Interpreter::Crate));
    }

    #[test]
    fn devices_lines_are_stated_one_by_one() {
        let line = b"intx=00:05.0,A,21,level,low intx=00:06.0,B,22,edge,high";
        let options = parse(line).unwrap();
        let gsis = options.routes.iter().flatten().map(|route| route.gsi);
        assert!(gsis.eq([21, 22]));
        let word = "intx=00:05.0,A,21,level";
        assert_eq!(parse(word.as_bytes()), Err(Error::BadValue(word)));
        let twice = b"intx=00:05.0,A,21,level,low intx=00:05.0,A,22,level,low";
        assert!(parse(twice).is_err(), "a device has one pin");
    }

    #[test]
    fn a_separator_inside_the_guest_line_belongs_to_the_guest() {
        assert_eq!(parse(b"-- a --b -- c").unwrap().guest, "a --b -- c");
    }

    #[test]
    fn what_is_not_understood_is_refused_by_name() {
        assert_eq!(parse(b"lgo=debug"), Err(Error::UnknownKey("lgo=debug")));
        assert_eq!(parse(b"quiet"), Err(Error::UnknownKey("quiet")));
        assert_eq!(parse(b"wake=now"), Err(Error::BadValue("wake=now")));
        assert_eq!(parse(b"log=loud"), Err(Error::BadValue("log=loud")));
        for word in [
            "cpus=0",
            "echo=-1",
            "quote_timeout=0",
            "quote_timeout=600001",
            "identity=xen",
            "tell=nothing",
            "entry=linux",
            "acpi=trusted",
        ] {
            assert_eq!(parse(word.as_bytes()), Err(Error::BadValue(word)));
        }
        assert_eq!(parse(b"\xff"), Err(Error::Encoding));
    }
}
