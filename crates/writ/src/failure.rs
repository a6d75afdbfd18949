//! How a command ends when it does not succeed: a sentence, a hint, and an exit
//! code that scripts can rely on.

use crate::render::visible;
use kernel::Refusal;
use std::io::IsTerminal;
use std::process::ExitCode;

/// Exit codes. 0 is success, 2 is clap's for wrong usage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// The command was refused or failed.
    Failed = 1,
    /// The command was not understood.
    Usage = 2,
    /// Something that must hold does not: a log, a state, a pack.
    Integrity = 3,
    /// The server cannot be reached.
    Unreachable = 4,
}

/// A command that did not succeed.
#[derive(Debug)]
pub(crate) struct Failure {
    exit: Exit,
    message: String,
    hint: Option<String>,
    trace: Option<String>,
}

impl Failure {
    fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self {
            exit,
            message: message.into(),
            hint: None,
            trace: None,
        }
    }
    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self::new(Exit::Failed, message)
    }
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }
    pub(crate) fn integrity(message: impl Into<String>) -> Self {
        Self::new(Exit::Integrity, message)
    }
    pub(crate) fn unreachable(message: impl Into<String>) -> Self {
        Self::new(Exit::Unreachable, message)
    }
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
    pub(crate) fn trace(mut self, trace: &str) -> Self {
        self.trace = Some(trace.to_owned());
        self
    }

    /// Prints the failure to standard error and gives the exit code.
    #[allow(clippy::print_stderr, reason = "errors of a command line go there")]
    pub(crate) fn report(&self) -> ExitCode {
        let coloured = std::io::stderr().is_terminal();
        let paint = |code: &str, text: &str| {
            if coloured {
                format!("\u{1b}[{code}m{text}\u{1b}[0m")
            } else {
                text.to_owned()
            }
        };
        // A server may say what others wrote.
        let message = visible(&self.message);
        eprintln!("{}: {message}", paint("1;31", "error"));
        if let Some(hint) = &self.hint {
            let hint = visible(hint);
            eprintln!("{}: {hint}", paint("1;36", "hint"));
        }
        if let Some(trace) = &self.trace {
            eprintln!("trace: {trace}");
        }
        ExitCode::from(self.exit as u8)
    }
}

/// An address without the user name and password that it may hold, to be shown.
pub(crate) fn without_user(address: &str) -> String {
    let Some((before, host)) = address.rsplit_once('@') else {
        return address.to_owned();
    };
    match before.split_once("://") {
        Some((scheme, _)) => format!("{scheme}://…@{host}"),
        None => format!("…@{host}"),
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        let exit = match refusal.code {
            kernel::Code::Integrity => Exit::Integrity,
            _ => Exit::Failed,
        };
        Self {
            hint: refusal.hint,
            ..Self::new(exit, refusal.message)
        }
    }
}

impl From<ledger::StoreFault> for Failure {
    fn from(fault: ledger::StoreFault) -> Self {
        Self::from(Refusal::from(fault))
    }
}

#[cfg(test)]
mod tests {
    use super::without_user;

    #[test]
    fn an_address_is_shown_without_its_user() {
        for (given, shown) in [
            ("http://host:1/x", "http://host:1/x"),
            ("http://u:p@host:1", "http://…@host:1"),
            ("http://u:p@q@host", "http://…@host"),
            ("u:p@host", "…@host"),
        ] {
            assert_eq!(without_user(given), shown, "{given}");
        }
    }
}
