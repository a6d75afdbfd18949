//! Documents that are made from the code.

use crate::cli::Document;
use crate::failure::Failure;
use kernel::Lifecycle;
use kernel::names::Name;
use std::fmt::Write as _;

/// Prints a document.
#[allow(clippy::print_stdout, reason = "the document goes to standard output")]
pub(crate) fn print(document: Document) -> Result<(), Failure> {
    match document {
        Document::Lifecycles => print!("{}", lifecycles()),
        Document::Openapi => {
            let document = server::openapi::document(env!("CARGO_PKG_VERSION"));
            println!("{document:#}");
        }
        Document::Authorisation => print!("{}", server::authorisation::document()?),
        Document::Contract => println!("{:#}", gate::contract::schema()),
    }
    Ok(())
}

fn lifecycles() -> String {
    let mut text = String::from(
        "# Lifecycles\n\nMade from the tables in the code by `cargo xtask docs`; do not edit.\n",
    );
    section(&mut text, "Candidate", &sense::candidate::LIFECYCLE);
    section(&mut text, "Incident", &sense::incident::LIFECYCLE);
    section(&mut text, "Investigation", &sense::investigation::LIFECYCLE);
    section(&mut text, "Dead letter", &sense::dead_letter::LIFECYCLE);
    section(
        &mut text,
        "Keys of a subject",
        &flow::personal::key::LIFECYCLE,
    );
    section(&mut text, "Directive", &gate::directive::LIFECYCLE);
    section(&mut text, "Approval", &gate::approval::LIFECYCLE);
    section(&mut text, "Signing key", &gate::signing_key::LIFECYCLE);
    section(&mut text, "Permit", &gate::permit::LIFECYCLE);
    section(&mut text, "Reservation", &gate::budget::LIFECYCLE);
    section(&mut text, "Kill switch engagement", &gate::kill::LIFECYCLE);
    section(&mut text, "Run", &act::run::RUN);
    section(&mut text, "Step of a run", &act::run::TASK);
    section(
        &mut text,
        "Set of policies",
        &flow::policies::record::LIFECYCLE,
    );
    section(&mut text, "Session", &flow::session::lifecycle::SESSION);
    section(
        &mut text,
        "Segment of the archive",
        &ledger::archive::LIFECYCLE,
    );
    text
}

fn section<S: Name, E: Name>(text: &mut String, title: &str, lifecycle: &Lifecycle<S, E>) {
    // Writing to a string cannot fail.
    let _ = write!(
        text,
        "\n## {title}\n\n```mermaid\n{}```\n\n| status | possible |\n|---|---|\n",
        lifecycle.mermaid()
    );
    for status in S::ALL {
        let allowed: Vec<_> = lifecycle
            .allowed(*status)
            .iter()
            .map(|e| e.name())
            .collect();
        let allowed = if allowed.is_empty() {
            "(final)".to_owned()
        } else {
            allowed.join(", ")
        };
        let _ = writeln!(text, "| {} | {allowed} |", status.name());
    }
}
