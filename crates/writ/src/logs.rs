//! Logs: JSON lines on standard error. A panic is one of them: where it was,
//! and not what it says, because nobody knows what that holds.

use crate::failure::Failure;
use std::panic::PanicHookInfo;
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
        .map_err(|e| Failure::failed(format!("cannot start logging: {e}")))?;
    std::panic::set_hook(Box::new(panicked));
    Ok(())
}

/// Says that something panicked, and where.
fn panicked(panic: &PanicHookInfo<'_>) {
    let place = panic.location().map(ToString::to_string);
    let place = place.unwrap_or_default();
    tracing::error!(place, "something panicked; report it with the place");
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_panic_says_where_it_was_and_not_what_it_holds() {
        let written = Written::default();
        let writer = written.clone();
        let subscriber = fmt().json().with_writer(move || writer.clone()).finish();
        let former = std::panic::take_hook();
        std::panic::set_hook(Box::new(panicked));
        let caught = tracing::subscriber::with_default(subscriber, || {
            std::panic::catch_unwind(|| panic!("the token is {}", "s3cret"))
        });
        std::panic::set_hook(former);
        assert!(caught.is_err());
        let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        assert!(text.contains("logs.rs:"), "{text}");
        assert!(!text.contains("s3cret"), "{text}");
    }
}
