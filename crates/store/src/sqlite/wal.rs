//! Whether the write-ahead log is whole. SQLite reads it up to the first frame
//! that does not fit and takes that for its end, because after a power cut it
//! is; a frame that went bad later looks the same, and everything behind it
//! would be gone without a word. The difference: each commit is synced before
//! the next is written, so that a power cut leaves at most one commit behind
//! the break.

use super::at;
use ledger::store::StoreFault;
use std::fs::File;
use std::io::{BufReader, ErrorKind, Read};
use std::path::Path;

/// The form is <https://sqlite.org/fileformat2.html#walformat>.
const HEADER_BYTES: usize = 32;
const FRAME_HEADER_BYTES: usize = 24;
/// The magic number, but for its lowest bit: the order of the words in sums.
const MAGIC: u32 = 0x377f_0682;
const PAGE_BYTES_MAX: u32 = 65_536;
/// Commits behind the break that no power cut leaves.
const COMMITS_BEHIND: u64 = 2;

type Sums = (u32, u32);

/// Checks the write-ahead log of this database, if it has one. A writer may be
/// at work.
///
/// # Errors
/// `Damaged` when commits that were synced stand behind a frame that does not
/// fit.
pub(super) fn check(database: &Path) -> Result<(), StoreFault> {
    let mut path = database.as_os_str().to_owned();
    path.push("-wal");
    let path = Path::new(&path);
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(at(path, &error)),
    };
    let page_bytes = page_bytes(database);
    let fault = scan(&mut BufReader::new(file), page_bytes).map_err(|e| at(path, &e))?;
    let Some((header, frame)) = fault else {
        return Ok(());
    };
    // A writer that began the log anew meanwhile wrote its header first.
    let mut now = [0; HEADER_BYTES];
    let again = File::open(path).and_then(|mut file| file.read_exact(&mut now));
    if again.is_err() || now != header {
        return Ok(());
    }
    Err(StoreFault::Damaged(format!(
        "the write-ahead log is damaged at frame {frame}, and commits stand behind it that would be \
         lost"
    )))
}

/// The size of a page, as the database's first page says it.
fn page_bytes(database: &Path) -> Option<u32> {
    let mut first = [0; 18];
    File::open(database)
        .and_then(|mut file| file.read_exact(&mut first))
        .ok()?;
    let [.., high, low] = first;
    match u16::from_be_bytes([high, low]) {
        1 => Some(PAGE_BYTES_MAX),
        bytes => Some(u32::from(bytes)),
    }
}

/// The log's header and the frame that is damaged, if any; frame 0 is the
/// header.
fn scan(
    log: &mut impl Read,
    page_bytes: Option<u32>,
) -> std::io::Result<Option<([u8; HEADER_BYTES], u64)>> {
    let mut header = [0; HEADER_BYTES];
    if !fill(log, &mut header)? {
        return Ok(None);
    }
    let [magic, _, size, _, salt_1, salt_2, sum_1, sum_2] = words(&header);
    let (covered, _) = header.split_at(HEADER_BYTES - 8);
    let mut before = (sum_1, sum_2);
    let is_big = magic & 1 == 1;
    let header_fits = magic & !1 == MAGIC && sum((0, 0), covered, is_big) == before;
    // What a bad header says is not to be relied on.
    let (size, is_big) = match header_fits {
        true => (Some(size), is_big),
        false => (page_bytes, cfg!(target_endian = "big")),
    };
    let fits = |size: &u32| size.is_power_of_two() && (512..=PAGE_BYTES_MAX).contains(size);
    let Some(size) = size.filter(fits) else {
        return Ok(None);
    };
    let mut salts = (salt_1, salt_2);
    let mut run = Run::default();
    if !header_fits {
        run.broken_at = Some(0);
    }
    let mut frame = vec![0; FRAME_HEADER_BYTES + size as usize];
    let mut number = 0;
    while fill(log, &mut frame)? {
        number += 1;
        let (head, page) = frame.split_at(FRAME_HEADER_BYTES);
        let [_, commit, salt_1, salt_2, sum_1, sum_2] = words(head);
        if number == 1 && !header_fits {
            salts = (salt_1, salt_2);
        }
        let (covered, _) = head.split_at(8);
        let sums = sum(sum(before, covered, is_big), page, is_big);
        before = (sum_1, sum_2);
        let fits = salts == (salt_1, salt_2) && sums == before;
        run.take(number, fits, commit != 0);
        if run.commits >= COMMITS_BEHIND {
            return Ok(run.broken_at.map(|at| (header, at)));
        }
    }
    Ok(None)
}

/// Frames behind the break that follow from each other. What a commit left that
/// failed and was written over is no such run: it ends with its one commit.
#[derive(Default)]
struct Run {
    broken_at: Option<u64>,
    commits: u64,
}

impl Run {
    fn take(&mut self, number: u64, fits: bool, commits: bool) {
        match (fits, self.broken_at) {
            (false, _) => {
                self.broken_at = self.broken_at.or(Some(number));
                self.commits = 0;
            }
            (true, Some(_)) => self.commits += u64::from(commits),
            (true, None) => {}
        }
    }
}

/// Fills the buffer; `false` when the log ends before that.
fn fill(log: &mut impl Read, buffer: &mut [u8]) -> std::io::Result<bool> {
    match log.read_exact(buffer) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

fn words<const N: usize>(bytes: &[u8]) -> [u32; N] {
    let mut words = [0; N];
    for (word, bytes) in words.iter_mut().zip(bytes.as_chunks::<4>().0) {
        *word = u32::from_be_bytes(*bytes);
    }
    words
}

/// The running sums over these bytes.
fn sum((mut a, mut b): Sums, bytes: &[u8], big_endian: bool) -> Sums {
    let read = match big_endian {
        true => u32::from_be_bytes,
        false => u32::from_le_bytes,
    };
    for pair in bytes.as_chunks::<8>().0 {
        let [w, x, y, z, p, q, r, s] = *pair;
        a = a.wrapping_add(read([w, x, y, z])).wrapping_add(b);
        b = b.wrapping_add(read([p, q, r, s])).wrapping_add(a);
    }
    (a, b)
}
