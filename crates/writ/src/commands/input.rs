//! What commands read: a file with JSON, or standard input.

use crate::failure::Failure;
use serde_json::Value;
use std::io::Read as _;
use std::path::Path;

/// Read at most; one byte more than is allowed shows that it is too much.
const BYTES_MAX: u64 = kernel::limits::JSON_BYTES_MAX as u64 + 1;

/// The JSON in this file; `-` is standard input. `hint` says what to do when
/// it cannot be read.
pub(crate) fn json_file(file: &Path, hint: &str) -> Result<Value, Failure> {
    let unreadable =
        |e: &std::io::Error| Failure::failed(format!("`{}`: {e}", file.display())).hint(hint);
    let mut bytes = Vec::new();
    if file == Path::new("-") {
        let mut input = std::io::stdin().lock().take(BYTES_MAX);
        input.read_to_end(&mut bytes).map_err(|e| unreadable(&e))?;
    } else {
        let input = std::fs::File::open(file).map_err(|e| unreadable(&e))?;
        let mut input = input.take(BYTES_MAX);
        input.read_to_end(&mut bytes).map_err(|e| unreadable(&e))?;
    }
    kernel::json::parse(&bytes).map_err(|e| Failure::failed(format!("`{}`: {e}", file.display())))
}
