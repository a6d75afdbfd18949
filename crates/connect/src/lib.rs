//! Adapters: the ports of `kernel::port` on a real machine. HTTP, secrets,
//! private files, keys, the clock, unpredictable bits and the places of
//! archives. This is where the outside comes in, and the
//! only place where the bans on clocks and the environment are lifted, each
//! with its reason.
#![cfg_attr(
    not(test),
    warn(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

pub mod address;
pub mod cache;
pub mod clock;
pub mod entropy;
pub mod http;
pub mod keyring;
pub mod objects;
pub mod private;
pub mod secrets;

pub use clock::SystemClock;
pub use entropy::OsEntropy;
pub use http::ReqwestHttp;
pub use keyring::LocalKeyring;
pub use private::PrivateFolder;
pub use secrets::Secrets;
