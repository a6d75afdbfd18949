//! Writes what each target begins with into a folder of its own below the one
//! that is named, for the search that is led by coverage.

use std::fs;
use std::path::PathBuf;

fn main() -> std::io::Result<()> {
    let folder = std::env::args_os().nth(1).map(PathBuf::from);
    let folder = folder.ok_or_else(|| std::io::Error::other("name the folder to write to"))?;
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    for target in fuzz::TARGETS {
        let place = folder.join(target.name);
        fs::create_dir_all(&place)?;
        for (number, seed) in (target.seeds)().iter().enumerate() {
            fs::write(place.join(format!("{number:03}")), seed)?;
        }
    }
    Ok(())
}
