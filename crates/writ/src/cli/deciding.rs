//! Arguments of people's decisions.

use clap::{Args, Subcommand};
use std::path::PathBuf;

#[derive(Args, Debug)]
pub(crate) struct Approve {
    /// The approval (`apr_…`) or the directive (`dir_…`)
    pub(crate) id: String,
    /// The digest of the contract that you saw; without it, the contract is
    /// shown and you are asked
    #[arg(long)]
    pub(crate) digest: Option<String>,
    /// A remark for the record
    #[arg(long)]
    pub(crate) reason: Option<String>,
    /// Sign it with the key in this file, which `writ key register` made
    #[arg(long, env = "WRIT_SIGNING_KEY", value_name = "FILE")]
    pub(crate) key: Option<PathBuf>,
    /// Decide in the place of this person (`prn_…`), who delegated it to you
    #[arg(long, value_name = "PRINCIPAL")]
    pub(crate) on_behalf_of: Option<String>,
}

#[derive(Args, Debug)]
pub(crate) struct Reject {
    /// The approval (`apr_…`) or the directive (`dir_…`)
    pub(crate) id: String,
    /// Why
    #[arg(long)]
    pub(crate) reason: String,
    /// Sign it with the key in this file, which `writ key register` made
    #[arg(long, env = "WRIT_SIGNING_KEY", value_name = "FILE")]
    pub(crate) key: Option<PathBuf>,
    /// Decide in the place of this person (`prn_…`), who delegated it to you
    #[arg(long, value_name = "PRINCIPAL")]
    pub(crate) on_behalf_of: Option<String>,
}

/// Which approvals are sought.
#[derive(Args, Debug, Default)]
pub(crate) struct Sought {
    /// Approvals: only about directives of this type
    #[arg(long = "type", value_name = "TYPE")]
    pub(crate) directive_type: Option<String>,
    /// Approvals: only of this action class
    #[arg(long, value_name = "CLASS")]
    pub(crate) class: Option<String>,
    /// Approvals: only about directives that this actor issued, `kind:id`
    #[arg(long, value_name = "ACTOR")]
    pub(crate) issuer: Option<String>,
    /// Approvals: only those that you may decide on now
    #[arg(long)]
    pub(crate) decidable: bool,
    /// Approvals: only those that nobody answered in time
    #[arg(long)]
    pub(crate) overdue: bool,
}

impl Sought {
    /// The parameters of the listing.
    pub(crate) fn parts(self) -> [(&'static str, Option<String>); 5] {
        let yes = |wanted: bool| wanted.then(|| "true".to_owned());
        [
            ("type", self.directive_type),
            ("class", self.class),
            ("issuer", self.issuer),
            ("decidable", yes(self.decidable)),
            ("overdue", yes(self.overdue)),
        ]
    }
}

#[derive(Args, Debug)]
pub(crate) struct Bulk {
    /// The approvals (`apr_…`), each with the digest that you saw where nobody
    /// can be asked: `apr_…=DIGEST`
    #[arg(required = true, value_name = "APPROVAL[=DIGEST]")]
    pub(crate) approvals: Vec<String>,
    /// Reject them; --reason says why
    #[arg(long, requires = "reason")]
    pub(crate) reject: bool,
    /// A remark for the record
    #[arg(long)]
    pub(crate) reason: Option<String>,
    /// Sign each with the key in this file
    #[arg(long, env = "WRIT_SIGNING_KEY", value_name = "FILE")]
    pub(crate) key: Option<PathBuf>,
}

#[derive(Subcommand, Debug)]
pub(crate) enum Delegation {
    /// Let another person decide in your place
    Grant {
        /// The person (`prn_…`)
        to: String,
        /// For how long, for example `8h` or `3d`; 30 days at most
        #[arg(long = "for", value_name = "SPAN", required_unless_present = "until")]
        lasts: Option<String>,
        /// Until when, RFC 3339
        #[arg(long, value_name = "INSTANT", conflicts_with = "lasts")]
        until: Option<String>,
        /// Only directives of this action class; may be given several times
        #[arg(long = "class", value_name = "CLASS")]
        classes: Vec<String>,
        /// Only directives of this type; may be given several times
        #[arg(long = "type", value_name = "TYPE")]
        types: Vec<String>,
        /// Why
        #[arg(long)]
        reason: String,
    },
    /// Take a delegation back
    Revoke {
        /// Who gave it (`prn_…`)
        of: String,
        /// The delegation (`dlg_…`)
        delegation: String,
        /// Why
        #[arg(long)]
        reason: String,
    },
}

#[derive(Args, Debug)]
pub(crate) struct Edit {
    /// The directive (`dir_…`)
    pub(crate) id: String,
    /// The file with the whole contract as you want it; `-` for standard input
    pub(crate) file: PathBuf,
    /// Approve the result too, as far as you may
    #[arg(long)]
    pub(crate) approve: bool,
    /// A remark for the record
    #[arg(long, requires = "approve")]
    pub(crate) reason: Option<String>,
    /// The digest of the version that you edited; without it you are asked
    #[arg(long)]
    pub(crate) digest: Option<String>,
}

#[derive(Subcommand, Debug)]
pub(crate) enum Approval {
    /// Decide on several at once, having been shown each; where policy allows
    Bulk(Bulk),
    /// Verify what people signed, without a server
    Verify {
        /// A signed statement, an approval (`writ --json show apr_…`) or a
        /// bundle of the ledger; `-` for standard input
        file: PathBuf,
        /// The person's public key, `ed25519:BASE64` or that of a passkey, as you
        /// got it from them; may be given several times
        #[arg(long = "key", value_name = "KEY", required = true)]
        keys: Vec<String>,
    },
}
