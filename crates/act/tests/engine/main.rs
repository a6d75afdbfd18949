//! The engine on the real gate, in a small world of its own.

mod chaos;
mod life;
mod use_of_permits;
mod world;
