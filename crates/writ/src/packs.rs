//! Where packs come from: a directory, or those that are built into the
//! binary. Their content is checked by `pack`; here it is only read.

use crate::failure::Failure;
use include_dir::{Dir, include_dir};
use pack::{Fault, Files, Pack};
use std::path::Path;

/// The packs of the repository, as they were when writ was built.
static BUILT_IN: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/../../packs");

/// Files of a pack at most.
const FILES_MAX: usize = 2_000;
/// Bytes of one file at most.
const FILE_BYTES_MAX: u64 = 1024 * 1024;
/// Folders within folders at most.
const DEPTH_MAX: usize = 8;

/// The names of the built-in packs, in order.
pub(crate) fn built_in_names() -> Vec<String> {
    let mut names: Vec<String> = BUILT_IN
        .dirs()
        .filter_map(|d| Some(d.path().file_name()?.to_str()?.to_owned()))
        .collect();
    names.sort();
    names
}

/// The files of a built-in pack.
pub(crate) fn built_in(name: &str) -> Result<Files, Failure> {
    let root = BUILT_IN.get_dir(name).ok_or_else(|| {
        Failure::usage(format!("no pack is called `{name}`"))
            .hint(format!("built in: {}", built_in_names().join(", ")))
    })?;
    let mut files = Files::new();
    let mut folders = vec![root];
    while let Some(folder) = folders.pop() {
        folders.extend(folder.dirs());
        for file in folder.files() {
            let path = file.path().strip_prefix(root.path()).unwrap_or(file.path());
            files.insert(slashed(path), file.contents().to_vec());
        }
    }
    Ok(files)
}

/// The files of a built-in pack, or of one in a directory.
pub(crate) fn named(name: &str) -> Result<Files, Failure> {
    match built_in_names().iter().any(|built_in| built_in == name) {
        true => built_in(name),
        false => read_directory(Path::new(name)),
    }
}

fn slashed(path: &Path) -> String {
    let parts: Vec<_> = path.iter().map(|p| p.to_string_lossy()).collect();
    parts.join("/")
}

/// The files of a pack in a directory. Hidden files are passed over.
pub(crate) fn read_directory(directory: &Path) -> Result<Files, Failure> {
    let mut files = Files::new();
    read_folder(directory, directory, 0, &mut files)?;
    Ok(files)
}

fn read_folder(root: &Path, folder: &Path, depth: usize, files: &mut Files) -> Result<(), Failure> {
    let unreadable = |path: &Path, e: &std::io::Error| {
        Failure::failed(format!("`{}`: {e}", path.display()))
            .hint("give the directory of a pack: the one with `pack.yaml` in it")
    };
    if depth > DEPTH_MAX {
        return Err(Failure::failed(format!(
            "`{}` is too deep for a pack",
            folder.display()
        )));
    }
    let listing = std::fs::read_dir(folder).map_err(|e| unreadable(folder, &e))?;
    for item in listing {
        let item = item.map_err(|e| unreadable(folder, &e))?;
        let path = item.path();
        if item.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        let kind = item.metadata().map_err(|e| unreadable(&path, &e))?;
        if kind.is_dir() {
            read_folder(root, &path, depth + 1, files)?;
            continue;
        }
        if kind.len() > FILE_BYTES_MAX || files.len() >= FILES_MAX {
            return Err(Failure::failed(format!(
                "`{}`: a pack has at most {FILES_MAX} files of {FILE_BYTES_MAX} bytes",
                path.display()
            )));
        }
        let bytes = std::fs::read(&path).map_err(|e| unreadable(&path, &e))?;
        files.insert(slashed(path.strip_prefix(root).unwrap_or(&path)), bytes);
    }
    Ok(())
}

/// Loads the pack in a directory, with every fault named.
pub(crate) fn load(directory: &Path) -> Result<Pack, Failure> {
    checked(&read_directory(directory)?)
}

/// Loads a pack from its files, with every fault named.
pub(crate) fn checked(files: &Files) -> Result<Pack, Failure> {
    pack::load(files).map_err(|faults| failure("the pack", &faults))
}

/// Fails with every fault named, when there are any.
pub(crate) fn sound(what: &str, faults: &[Fault]) -> Result<(), Failure> {
    match faults.is_empty() {
        true => Ok(()),
        false => Err(failure(what, faults)),
    }
}

pub(crate) fn failure(what: &str, faults: &[Fault]) -> Failure {
    let lines: Vec<String> = faults.iter().map(|f| format!("  {f}")).collect();
    let count = match lines.len() {
        1 => "1 fault".to_owned(),
        n => format!("{n} faults"),
    };
    Failure::integrity(format!("{what} has {count}:\n{}", lines.join("\n")))
}

/// The modules that are built in.
pub(crate) fn capabilities() -> Result<gate::Capabilities, Failure> {
    let modules = act::builtin::registry(&act::builtin::HttpSettings::default())?;
    Ok(modules.capabilities())
}
