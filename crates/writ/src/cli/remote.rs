//! Which server is spoken to, and as whom.

use clap::Args;

/// Which server is spoken to, and as whom.
#[derive(Args, Debug, Clone)]
pub(crate) struct Remote {
    /// Address of the writ server
    #[arg(
        long,
        global = true,
        env = "WRIT_SERVER",
        value_name = "URL",
        default_value = "http://127.0.0.1:7420",
        hide_env_values = true
    )]
    pub(crate) server: String,
    /// API token; better given by the environment than on the command line
    #[arg(
        long,
        global = true,
        env = "WRIT_TOKEN",
        value_name = "TOKEN",
        hide_env_values = true
    )]
    pub(crate) token: Option<String>,
}
