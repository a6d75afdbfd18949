//! Writes the canonical form (RFC 8785) into one buffer. Members are written
//! as they come, and put in order in place when their object ends; most of the
//! time of a decision went into this, which is why it is not left to a library.

use super::JsonFault;
use serde::Serialize;
use serde_json::ser::{CharEscape, Formatter, Serializer};
use std::cell::RefCell;
use std::io;

/// Memory for text that a thread keeps from one call to the next at most.
const KEPT_BYTES_MAX: usize = 64 * 1024;
/// Integers up to this are doubles exactly, and are written as they are.
const EXACT: u128 = 1 << 53;

/// The canonical form of RFC 8785: sorted keys, ES6 numbers, no white space.
///
/// # Errors
/// [`JsonFault::NotCanonical`] for non-finite numbers, non-string keys, and a
/// key that stands twice in one object.
pub fn canonical<T: Serialize>(value: &T) -> Result<String, JsonFault> {
    let mut form = KEPT.take();
    form.clear();
    let text = form.write(value);
    if form.text.capacity() <= KEPT_BYTES_MAX {
        KEPT.set(form);
    }
    text
}

thread_local! {
    /// The memory of the call before. A text that grew from nothing each time
    /// was copied four times on the way to a usual length.
    static KEPT: RefCell<Form> = RefCell::default();
}

/// A member of an object in the text: `"key":value`.
#[derive(Clone, Copy)]
struct Member {
    start: usize,
    /// Where the key ends.
    colon: usize,
    end: usize,
    /// Whether the key's bytes are in the order of its UTF-16 units: it is
    /// ASCII, and nothing in it is escaped.
    is_plain: bool,
}

impl Member {
    /// What stands between the quotes of the key, escaped.
    fn key(self, text: &[u8]) -> &[u8] {
        text.get(self.start + 1..self.colon - 1).unwrap_or_default()
    }
}

#[derive(Default)]
struct Form {
    text: Vec<u8>,
    /// The members of all objects that are open, the innermost last.
    members: Vec<Member>,
    /// Of each open object, how many members stood before it.
    objects: Vec<usize>,
    scratch: Vec<u8>,
}

impl Form {
    /// Forgets what an earlier call left, which may have failed half-way.
    fn clear(&mut self) {
        self.text.clear();
        self.members.clear();
        self.objects.clear();
    }

    fn write<T: Serialize>(&mut self, value: &T) -> Result<String, JsonFault> {
        let fault = |what: String| JsonFault::NotCanonical(what);
        // What the serializer itself would write, nobody reads.
        let mut serializer = Serializer::with_formatter(io::sink(), &mut *self);
        value
            .serialize(&mut serializer)
            .map_err(|e| fault(e.to_string()))?;
        let text = std::str::from_utf8(&self.text).map_err(|e| fault(e.to_string()))?;
        Ok(text.to_owned())
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.text.extend_from_slice(bytes);
        Ok(())
    }

    fn integer(
        &mut self,
        value: impl itoa::Integer,
        is_exact: bool,
        double: f64,
    ) -> io::Result<()> {
        match is_exact {
            true => self.put(itoa::Buffer::new().format(value).as_bytes()),
            false => self.double(double),
        }
    }

    fn double(&mut self, value: f64) -> io::Result<()> {
        match value.is_finite() {
            true => self.put(ryu_js::Buffer::new().format_finite(value).as_bytes()),
            false => Err(io::Error::other("JSON has no number that is not finite")),
        }
    }

    /// Puts the members from this one on in order.
    fn sort(&mut self, from: usize) -> io::Result<()> {
        let members = self.members.get_mut(from..).unwrap_or_default();
        let (Some(first), Some(last)) = (members.first(), members.last()) else {
            return Ok(());
        };
        let (start, end) = (first.start, last.end);
        let text = &self.text;
        let order = |a: &Member, b: &Member| match a.is_plain && b.is_plain {
            true => a.key(text).cmp(b.key(text)),
            false => units(a.key(text)).cmp(&units(b.key(text))),
        };
        if members.is_sorted_by(|a, b| order(a, b).is_lt()) {
            return Ok(());
        }
        members.sort_unstable_by(order);
        if !members.is_sorted_by(|a, b| order(a, b).is_lt()) {
            return Err(io::Error::other("a key stands twice in one object"));
        }
        self.scratch.clear();
        for (nth, member) in members.iter().enumerate() {
            if nth > 0 {
                self.scratch.push(b',');
            }
            let member = text.get(member.start..member.end).unwrap_or_default();
            self.scratch.extend_from_slice(member);
        }
        if let Some(place) = self.text.get_mut(start..end) {
            place.copy_from_slice(&self.scratch);
        }
        Ok(())
    }
}

/// The UTF-16 units of a key that stands escaped.
fn units(key: &[u8]) -> Vec<u16> {
    let quoted = [b"\"", key, b"\""].concat();
    match serde_json::from_slice::<String>(&quoted) {
        Ok(key) => key.encode_utf16().collect(),
        // INVARIANT(keys-are-json): the serializer has written it.
        Err(_) => key.iter().copied().map(u16::from).collect(),
    }
}

fn is_exact(magnitude: u128) -> bool {
    magnitude <= EXACT
}

impl Formatter for &mut Form {
    fn write_null<W: ?Sized + io::Write>(&mut self, _: &mut W) -> io::Result<()> {
        self.put(b"null")
    }
    fn write_bool<W: ?Sized + io::Write>(&mut self, _: &mut W, value: bool) -> io::Result<()> {
        self.put(if value { b"true" } else { b"false" })
    }
    fn write_i8<W: ?Sized + io::Write>(&mut self, writer: &mut W, value: i8) -> io::Result<()> {
        self.write_i64(writer, value.into())
    }
    fn write_i16<W: ?Sized + io::Write>(&mut self, writer: &mut W, value: i16) -> io::Result<()> {
        self.write_i64(writer, value.into())
    }
    fn write_i32<W: ?Sized + io::Write>(&mut self, writer: &mut W, value: i32) -> io::Result<()> {
        self.write_i64(writer, value.into())
    }
    fn write_i64<W: ?Sized + io::Write>(&mut self, _: &mut W, value: i64) -> io::Result<()> {
        self.integer(value, is_exact(value.unsigned_abs().into()), value as f64)
    }
    fn write_i128<W: ?Sized + io::Write>(&mut self, _: &mut W, value: i128) -> io::Result<()> {
        self.integer(value, is_exact(value.unsigned_abs()), value as f64)
    }
    fn write_u8<W: ?Sized + io::Write>(&mut self, writer: &mut W, value: u8) -> io::Result<()> {
        self.write_u64(writer, value.into())
    }
    fn write_u16<W: ?Sized + io::Write>(&mut self, writer: &mut W, value: u16) -> io::Result<()> {
        self.write_u64(writer, value.into())
    }
    fn write_u32<W: ?Sized + io::Write>(&mut self, writer: &mut W, value: u32) -> io::Result<()> {
        self.write_u64(writer, value.into())
    }
    fn write_u64<W: ?Sized + io::Write>(&mut self, _: &mut W, value: u64) -> io::Result<()> {
        self.integer(value, is_exact(value.into()), value as f64)
    }
    fn write_u128<W: ?Sized + io::Write>(&mut self, _: &mut W, value: u128) -> io::Result<()> {
        self.integer(value, is_exact(value), value as f64)
    }
    fn write_f32<W: ?Sized + io::Write>(&mut self, _: &mut W, value: f32) -> io::Result<()> {
        self.double(value.into())
    }
    fn write_f64<W: ?Sized + io::Write>(&mut self, _: &mut W, value: f64) -> io::Result<()> {
        self.double(value)
    }
    fn write_number_str<W: ?Sized + io::Write>(&mut self, _: &mut W, text: &str) -> io::Result<()> {
        self.double(text.parse().map_err(io::Error::other)?)
    }
    fn begin_string<W: ?Sized + io::Write>(&mut self, _: &mut W) -> io::Result<()> {
        self.put(b"\"")
    }
    fn end_string<W: ?Sized + io::Write>(&mut self, _: &mut W) -> io::Result<()> {
        self.put(b"\"")
    }
    fn write_string_fragment<W: ?Sized + io::Write>(
        &mut self,
        _: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        self.put(fragment.as_bytes())
    }
    fn write_char_escape<W: ?Sized + io::Write>(
        &mut self,
        _: &mut W,
        escape: CharEscape,
    ) -> io::Result<()> {
        let digit = |nibble: u8| char::from_digit(nibble.into(), 16).map_or(b'0', |c| c as u8);
        match escape {
            CharEscape::Quote => self.put(b"\\\""),
            CharEscape::ReverseSolidus => self.put(b"\\\\"),
            CharEscape::Solidus => self.put(b"/"),
            CharEscape::Backspace => self.put(b"\\b"),
            CharEscape::FormFeed => self.put(b"\\f"),
            CharEscape::LineFeed => self.put(b"\\n"),
            CharEscape::CarriageReturn => self.put(b"\\r"),
            CharEscape::Tab => self.put(b"\\t"),
            CharEscape::AsciiControl(byte) => {
                self.put(&[b'\\', b'u', b'0', b'0', digit(byte >> 4), digit(byte & 15)])
            }
        }
    }
    fn begin_array<W: ?Sized + io::Write>(&mut self, _: &mut W) -> io::Result<()> {
        self.put(b"[")
    }
    fn end_array<W: ?Sized + io::Write>(&mut self, _: &mut W) -> io::Result<()> {
        self.put(b"]")
    }
    fn begin_array_value<W: ?Sized + io::Write>(
        &mut self,
        _: &mut W,
        first: bool,
    ) -> io::Result<()> {
        self.put(if first { b"" } else { b"," })
    }
    fn begin_object<W: ?Sized + io::Write>(&mut self, _: &mut W) -> io::Result<()> {
        self.objects.push(self.members.len());
        self.put(b"{")
    }
    fn end_object<W: ?Sized + io::Write>(&mut self, _: &mut W) -> io::Result<()> {
        let from = self.objects.pop().unwrap_or(0);
        self.sort(from)?;
        self.members.truncate(from);
        self.put(b"}")
    }
    fn begin_object_key<W: ?Sized + io::Write>(
        &mut self,
        _: &mut W,
        first: bool,
    ) -> io::Result<()> {
        self.put(if first { b"" } else { b"," })?;
        let start = self.text.len();
        self.members.push(Member {
            start,
            colon: start,
            end: start,
            is_plain: false,
        });
        Ok(())
    }
    fn begin_object_value<W: ?Sized + io::Write>(&mut self, _: &mut W) -> io::Result<()> {
        let colon = self.text.len();
        if let Some(member) = self.members.last_mut() {
            member.colon = colon;
            let key = member.key(&self.text);
            member.is_plain = key.iter().all(|b| b.is_ascii() && *b != b'\\');
        }
        self.put(b":")
    }
    fn end_object_value<W: ?Sized + io::Write>(&mut self, _: &mut W) -> io::Result<()> {
        let end = self.text.len();
        if let Some(member) = self.members.last_mut() {
            member.end = end;
        }
        Ok(())
    }
    fn write_raw_fragment<W: ?Sized + io::Write>(&mut self, _: &mut W, _: &str) -> io::Result<()> {
        Err(io::Error::other("raw JSON may be in another form"))
    }
}

#[cfg(test)]
mod tests;
