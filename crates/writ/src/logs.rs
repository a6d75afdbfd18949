//! Logs: JSON lines on standard error.

use crate::failure::Failure;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;

/// Starts logging with this filter.
pub(crate) fn start(filter: &str) -> Result<(), Failure> {
    let filter = EnvFilter::try_new(filter).map_err(|e| {
        Failure::usage(format!("`{filter}` is not a log filter: {e}"))
            .hint("write for example `info` or `server=debug,info`")
    })?;
    fmt()
        .json()
        .flatten_event(true)
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .try_init()
        .map_err(|e| Failure::failed(format!("cannot start logging: {e}")))
}
