//! The bounds of a server that an operator may set.

use crate::failure::Failure;
use clap::Args;
use server::limits::{self, Bounds};

/// How much is served at once; beyond it requests are shed.
#[derive(Args, Debug, Clone, Copy)]
pub(crate) struct UpBounds {
    /// Connections open at once; then the one that has waited longest for its
    /// client gives way
    #[arg(long, env = "WRIT_CONNECTIONS_MAX", value_name = "COUNT",
          default_value_t = limits::CONNECTIONS_MAX)]
    connections_max: usize,
    /// Ordinary requests under way at once; approvals, the kill switch and
    /// health have places of their own
    #[arg(long, env = "WRIT_REQUESTS_MAX", value_name = "COUNT",
          default_value_t = limits::ORDINARY_REQUESTS_MAX)]
    requests_max: usize,
    /// Event streams open at once, of all tenants
    #[arg(long, env = "WRIT_STREAMS_MAX", value_name = "COUNT",
          default_value_t = limits::STREAMS_MAX)]
    streams_max: usize,
    /// Event streams open at once, per tenant
    #[arg(long, env = "WRIT_STREAMS_PER_TENANT_MAX", value_name = "COUNT",
          default_value_t = limits::STREAMS_PER_TENANT_MAX)]
    streams_per_tenant_max: usize,
}

impl UpBounds {
    /// As nobody set them.
    pub(crate) fn usual() -> Self {
        let usual = Bounds::default();
        Self {
            connections_max: usual.connections,
            requests_max: usual.requests,
            streams_max: usual.streams,
            streams_per_tenant_max: usual.streams_per_tenant,
        }
    }

    /// The bounds, when they hold together.
    pub(crate) fn bounds(self) -> Result<Bounds, Failure> {
        let bounds = Bounds {
            connections: self.connections_max,
            requests: self.requests_max,
            streams: self.streams_max,
            streams_per_tenant: self.streams_per_tenant_max,
        };
        let checked = bounds.check().map_err(|fault| {
            Failure::usage(fault)
                .hint("raise --connections-max, or lower --streams-max or --requests-max")
        });
        checked.map(|()| bounds)
    }
}
