//! Who asks: bearer tokens for programs, sessions for people, and the token
//! that keeps other sites from posting with a person's session.

mod caller;
mod form;
mod login;
mod rate;
mod session;

pub use caller::{Caller, Identified, Via, identify, still_valid};
pub(crate) use caller::{bearer, check as token_caller};
pub use form::SafeForm;
pub(crate) use form::forged;
pub use login::{login, logout};
pub use rate::Rates;
pub use session::{COOKIE, Sessions};
