//! Directives: drafts from templates, versions and what they differ in.

use clap::{Args, Subcommand};

#[derive(Subcommand, Debug)]
pub(crate) enum Directive {
    /// Templates of the pack in force, with their parameters
    Templates,
    /// Write a directive from a template
    Draft(Draft),
    /// What two versions of a directive's contract differ in, field by field
    Diff {
        /// The directive
        id: String,
        /// The version that is compared, from 1; without it, the one before
        #[arg(long, value_name = "VERSION")]
        from: Option<u32>,
        /// The version that it is compared with; without it, the one in force
        #[arg(long, value_name = "VERSION")]
        to: Option<u32>,
    },
}

#[derive(Args, Debug)]
pub(crate) struct Draft {
    /// The template's name
    #[arg(long, value_name = "NAME")]
    pub(crate) template: String,
    /// What it is about, `type/id`
    #[arg(long, value_name = "SUBJECT")]
    pub(crate) subject: String,
    /// A parameter, `NAME=VALUE`; may be given several times
    #[arg(long = "set", value_name = "NAME=VALUE")]
    pub(crate) parameters: Vec<String>,
    /// What it came from, for example the id of an incident
    #[arg(long)]
    pub(crate) origin: Option<String>,
    /// Ask the gate for it at once
    #[arg(long)]
    pub(crate) propose: bool,
}
