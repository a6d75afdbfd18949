//! The pack with its recording of a service that fails.

use kernel::port::Clock as _;
use pack::recording::{self, Shift};
use std::path::Path;

/// The address that the recordings name as the service.
const RECORDED: &str = "127.0.0.1:18099";
/// Where packs stand; the first with the recording of a service that fails is
/// looked at.
const PACKS: &str = "../../packs";
/// Where a pack keeps its recording.
pub(crate) const RECORDINGS: &str = "fixtures/demo";

/// The first pack that has a recording.
pub(crate) fn recorded_pack() -> std::path::PathBuf {
    let packs = Path::new(env!("CARGO_MANIFEST_DIR")).join(PACKS);
    let listing = std::fs::read_dir(packs).expect("there are packs");
    let mut found: Vec<_> = listing
        .map(|item| item.expect("it can be listed").path())
        .filter(|pack| pack.join(RECORDINGS).is_dir())
        .collect();
    found.sort();
    found.into_iter().next().expect("one has a recording")
}

/// A copy of the pack in which the service stands at `host`.
pub(crate) fn copied(from: &Path, to: &Path, host: &str) {
    std::fs::create_dir_all(to).expect("a directory");
    for entry in std::fs::read_dir(from).expect("a pack") {
        let path = entry.expect("an entry").path();
        let target = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            copied(&path, &target, host);
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("text");
        std::fs::write(target, text.replace(RECORDED, host)).expect("it can be written");
    }
}

/// The recorded alerts, as if they came now.
pub(crate) fn recordings(folder: &Path) -> Vec<Vec<u8>> {
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .expect("recordings")
        .map(|e| e.expect("an entry").path())
        .collect();
    paths.sort();
    let read = |path: &std::path::PathBuf| std::fs::read(path).expect("a recording");
    let bodies: Vec<Vec<u8>> = paths.iter().map(read).collect();
    let latest = bodies
        .iter()
        .filter_map(|b| recording::latest(b).expect("JSON"))
        .max();
    let shift = Shift::between(latest.expect("instants"), connect::SystemClock.now());
    let shifted = |body: &Vec<u8>| recording::shifted(body, shift).expect("JSON");
    bodies.iter().map(shifted).collect()
}
