//! For tests only: a twin of every port and of storage, with faults on demand,
//! a small pack, and a harness that drives the same control loop as production
//! by hand and checks after each step what must never break. Nothing ships
//! with it.

mod disk;
mod postgres;
pub mod store;

mod cache;
mod clock;
mod dice;
mod entropy;
mod http;
mod keyring;
mod objects;
mod private;
mod secrets;

pub mod alerts;
pub mod counter;
pub mod personal;
pub mod sample;
pub mod served;

pub mod checks;
mod harness;
pub mod judge;
pub mod sim;

pub use cache::{Mood, TwinCache};
pub use clock::TestClock;
pub use dice::Dice;
pub use entropy::SeededEntropy;
pub use harness::{Loop, Person, World};
pub use http::{Asked, Effect, Fate, TwinHttp};
pub use keyring::TwinKeyring;
pub use objects::TwinObjects;
pub use postgres::{PostgresDatabase, PostgresServer, eventually};
pub use private::MemoryFiles;
pub use sample::Sample;
pub use secrets::TwinSecrets;
pub use store::{Death, Held, MemoryStore};
